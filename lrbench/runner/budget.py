"""Attacks at equal cost: each as long as a budget of passes allows."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lrbench.attacks import Attack
from lrbench.attacks.adapted import ExternalAttack
from lrbench.attacks.arguments import ELSEWHERE
from lrbench.attacks.base import Kind
from lrbench.attacks.cost import Passes

EFFORTS = ("steps", "queries")
"""What makes another library's attack longer, in the words of `attacks.arguments`."""


def within(budget: int, factory: Callable[..., Attack], given: Mapping[str, Any], options: Mapping[str, Any]) -> Attack:
    """Make an attack with as many steps, or queries, as a budget allows an image that withstands it.

    Noise, and an attack whose options say how long it is or that is what it is, is made as it would be without. What
    another library's attack takes is not known before it has run: its options have to say how long it is.

    Parameters
    ----------
    budget : int
        Passes an image, of which one forwards and one backwards are two.
    factory : callable
    given : mapping
        What the threat model supplies.
    options : mapping
        Of the suite.

    Raises
    ------
    ValueError
        If not even one step, or what it is made with, keeps to the budget; or if another library's is of any length.
    """
    made = factory(**given, **options)
    kind: Kind = getattr(factory, "kind", "bounded")
    if kind == "noise":
        return made
    if isinstance(made, ExternalAttack):
        return _of_stated_length(made, options)
    effort = _effort(factory, options)
    if effort is None:
        return _held(made, budget, "leave it out, or give it less to do")

    def longer(count: int) -> Attack:
        return factory(**given, **{**options, effort: count})

    most = 1
    _held(longer(most), budget, f"even with {effort}: 1")
    # No step takes less than one pass.
    low, high = most, budget
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _total(longer(middle)) <= budget else (low, middle - 1)
    return longer(low)


def _of_stated_length(made: ExternalAttack, options: Mapping[str, Any]) -> Attack:
    lengths = [name for name in made.defaults if ELSEWHERE.get(name, name) in EFFORTS]
    if lengths and not set(lengths) & set(options):
        msg = f"give it {' or '.join(lengths)}: what another library's attack takes is counted, and not known before"
        raise ValueError(msg)
    return made


def _effort(factory: Callable[..., Attack], options: Mapping[str, Any]) -> str | None:
    """Give the option that the budget sets; None if there is none, or the suite sets it."""
    own: str | None = getattr(factory, "effort", None)
    return own if own in inspect.signature(factory).parameters and own not in options else None


def _held(made: Attack, budget: int, otherwise: str) -> Attack:
    if (total := _total(made)) > budget:
        msg = f"it takes {total:,.0f} passes an image, and threat_model.budget is {budget:,}: {otherwise}"
        raise ValueError(msg)
    return made


def _total(made: Attack) -> float:
    return Passes.read(getattr(made, "most", made.passes)).total
