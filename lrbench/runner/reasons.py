"""Why steps are made again, in words."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from lrbench.errors import some
from lrbench.leaderboard.text import beside_each_other
from lrbench.names import eps_digits

"""Steps, and reasons, that are named before the rest is only counted."""

WHAT = {
    "train": "the model it measures",
    "surrogate": "the surrogate model",
    "init_from": "the network it starts from",
    "weights": "the weights it starts from",
    "needs": "its inputs",
    "enough": "whether the images before it were enough",
    "data": "the data set",
}


def again(states: dict[str, str]) -> list[str]:
    """Say which steps are made again, and why, a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for step, state in states.items():
        if state.startswith(("changed", "damaged")):
            reasons.setdefault(state, []).append(step)
    return [f"again, {reason}: {some(steps)}" for reason, steps in reasons.items()]


def difference(old: dict[str, Any], new: dict[str, Any], kind: str = "") -> str:
    """Name what differs between two configurations of a step of some kind, for "made again because"."""
    # A record has been through JSON, where tuples become lists.
    before, after = (json.loads(json.dumps(config)) for config in (old, new))
    found = list(dict.fromkeys(_differences(before, after, kind)))
    return some(found) if found else "the configuration"


def _differences(old: dict[str, Any], new: dict[str, Any], kind: str, prefix: str = "") -> Iterator[str]:
    for name in [*new, *(name for name in old if name not in new)]:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if not prefix and name in {"code", "libraries", "own"} and isinstance(before or {}, dict):
            yield from CODE[name](before or {}, after or {})
        elif not prefix and name == "code":
            yield "the code of this step"
        elif not prefix and name in WHAT:
            yield WHAT[name]
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, kind, f"{prefix}{name}.")
        elif name == "radii" and before and after:
            yield from _radii(before, after)
        elif not prefix and name == "attacks":
            yield "other attacks or radii"
        elif name == "eps" and before and after:
            what = "the radius of the checks, by default the middle one," if kind == "masking" else f"{prefix}eps"
            yield f"{what} {eps_digits(before)}/255 -> {eps_digits(after)}/255"
        else:
            yield f"{prefix}{name} {' -> '.join(beside_each_other(repr(before), repr(after)))}"


def _radii(old: list[float], new: list[float]) -> Iterator[str]:
    for what, radii in (
        ("more", [eps for eps in new if eps not in old]),
        ("less", [eps for eps in old if eps not in new]),
    ):
        if radii:
            yield f"{', '.join(f'{eps_digits(eps)}/255' for eps in radii)} {what}"
    if sorted(old) == sorted(new):
        yield "the order of the radii"


def _modules(old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    changed = [name for name in new if name in old and old[name] != new[name]]
    for name in changed or [*sorted(set(new) - set(old)), *sorted(set(old) - set(new))]:
        yield f"the code of {name}"


def _libraries(old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"{name} {old.get(name, 'not used')} -> {new.get(name, 'not used')}"


def _own(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> Iterator[str]:
    for main in [*new, *(name for name in old if name not in new)]:
        before, after = old.get(main, {}), new.get(main, {})
        for name in sorted({*before, *after}, key=lambda name: (name != main, name)):
            if before.get(name) != after.get(name):
                yield name if name == main else f"{name}, which {main} imports"


CODE: dict[str, Callable[[Any, Any], Iterator[str]]] = {"code": _modules, "libraries": _libraries, "own": _own}
