"""What an attack is given besides its own options: radius, norm and valid range, as far as it takes them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lrbench.options import choices_of


def supplied_to(factory: Callable[..., Any], name: str, norm: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give what an attack takes of what lrbench supplies; one that looks for the smallest perturbation has no radius.

    Parameters
    ----------
    factory : callable
    name : str
        Of the attack, for what is said of it.
    norm : {"linf", "l2", "l1"}
    given : mapping
        Parameter -> value: eps, bounds and the like.

    Raises
    ------
    ValueError
        If the attack is made for another norm.
    """
    if (refused := _refused(factory, norm)) is not None:
        msg = f"{name} {refused}; threat_model.norm is {norm}"
        raise ValueError(msg)
    takes = inspect.signature(factory).parameters
    taken = {key: value for key, value in {**given, "norm": norm}.items() if key in takes}
    if _is_minimal(factory):
        taken.pop("eps", None)
    return taken


def _refused(factory: Callable[..., Any], norm: str) -> str | None:
    """Say what an attack can do, if it cannot do what is asked in a norm."""
    known = choices_of(factory, "norm")
    if getattr(factory, "kind", "bounded") == "bounded" and "norm" not in inspect.signature(factory).parameters:
        known = ("linf",)
    # Minimal attacks without a norm are measured in every one, noise in none; what says nothing is asked.
    if not known or norm in known:
        return None
    what = " or ".join(known)
    return f"looks for the smallest perturbation in {what}" if _is_minimal(factory) else f"works in the {what} ball"


def _is_minimal(factory: Callable[..., Any]) -> bool:
    return bool(getattr(factory, "kind", "bounded") == "minimal")
