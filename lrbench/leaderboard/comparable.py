"""Whether two sides can be held against each other, under what, and what differs in their making."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lrbench.catalogue import ATTACKS
from lrbench.errors import UsageError
from lrbench.leaderboard.kept import Wrong
from lrbench.leaderboard.layout import labels
from lrbench.leaderboard.networks import is_ours, step_in
from lrbench.leaderboard.said import is_noise
from lrbench.leaderboard.sides import Side
from lrbench.leaderboard.surrogates import recipe_of, same_networks
from lrbench.names import WORST, model_in, radius_text
from lrbench.store import Record

SAME_UNIT = 0.02
"""By how much, relatively, the standard deviations of two sets of training images may differ that radii are read in."""

BESIDE_THE_UNIT = ("train", "test", "superclasses", "outputs", "path", "download", "keep")
"""What data may differ in without pixels of another kind; a file of another name may hold any."""

Pairs = list[tuple[Wrong, Wrong]]
"""What A and B got wrong under each attack and radius, seed by seed."""


def require_comparable(first: Side, second: Side) -> None:
    """Refuse what was not measured on the same images in the same threat model."""
    prints = [side.run.test_images(side.model) for side in (first, second)]
    reasons = []
    if prints[0] != prints[1]:
        names = [side.run.board.results["dataset"].iloc[0] for side in (first, second)]
        reasons.append(
            f"test images ({names[0]} and {names[1]}" + (", other examples)" if names[0] == names[1] else ")")
        )
    a, b = (side.run.board.suite["threat_model"] for side in (first, second))
    reasons += [f"{key} ({a[key]} and {b[key]})" for key in ("space", "norm") if a[key] != b[key]]
    samples = [_samples(side) for side in (first, second)]
    if samples[0] != samples[1]:
        reasons.append(f"number of images attacked ({_written(samples[0])} and {_written(samples[1])})")
    if a["space"] == b["space"] == "normalized" and _other_unit(first, second):
        reasons.append("the unit of radii, the training images' standard deviation (`data`)")
    if not set(a["eps"]) & set(b["eps"]):
        radii = [
            ", ".join(radius_text(eps, threat["norm"], threat["space"]) for eps in threat["eps"]) for threat in (a, b)
        ]
        reasons.append(f"radii ({radii[0]} and {radii[1]})")
    if reasons:
        msg = f"{first} and {second} cannot be compared: they differ in {'; '.join(reasons)}"
        raise UsageError(msg)


def _samples(side: Side) -> Any:  # noqa: ANN401
    """Give how many images are attacked, or how that is found: all test images where a suite does not say."""
    asked, table = side.run.board.suite["threat_model"]["samples"], side.run.board.results
    measured = table[(table["model"] == side.model) & (table["metric"] == "accuracy")]
    return int(measured["n"].iloc[0]) if asked is None and len(measured) else asked


def _other_unit(first: Side, second: Side) -> bool:
    """Whether radii in standard deviations are of other pixels; how many training images there are changes little."""
    a, b = _deviations(first), _deviations(second)
    if a and b:
        return len(a) != len(b) or not np.allclose(a, b, rtol=SAME_UNIT)
    data = [{**side.run.board.suite["data"], **dict.fromkeys(BESIDE_THE_UNIT)} for side in (first, second)]
    return data[0] != data[1]


def unit_is_open(first: Side, second: Side) -> bool:
    """Whether radii are in standard deviations that nobody kept, of pixels that may be any."""
    sides = (first, second)
    if first.run.board.suite["threat_model"]["space"] != "normalized" or all(_deviations(side) for side in sides):
        return False
    data = [side.run.board.suite["data"] for side in sides]
    return first.run.folder.resolve() != second.run.folder.resolve() and any(
        "path" in each or ":" in each["name"] for each in data
    )


def _deviations(side: Side) -> list[float] | None:
    """Give the standard deviation of each channel's pixels; a published board does not say."""
    told = (record.config.get("statistics") for record in _attacked(side))
    return next(([float(each) for each in statistics[1]] for statistics in told if statistics), None)


def _attacked(side: Side) -> Iterator[Record]:
    """Give the records of the attacks on a side's model; a published board keeps none."""
    for step in () if side.run.published else side.run.plan:
        if step.startswith("attack/") and model_in(step) == side.model and (record := side.run.as_planned(step)):
            yield record


def _written(value: Any) -> str:  # noqa: ANN401
    """Write what a suite says, on one line."""
    return ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else str(value)


def attacked_alike(first: Side, second: Side, pairs: Pairs, own: set[str], other: set[str]) -> bool:
    """Whether the worst cases are over the same attacks at the same radii; a seed without one does not matter.

    `own` are attacks made on one of the two, which may stand there under the name that it has without a surrogate, and
    `other` those that differ.
    """
    suites = [side.run.board.suite for side in (first, second)]
    attacked = [wrong for pair in pairs for wrong in pair if all(any(key[0] == WORST for key in each) for each in pair)]
    ran = {frozenset(key for key in wrong if key[0] not in {*own, WORST}) for wrong in attacked}
    same_radii = suites[0]["threat_model"]["eps"] == suites[1]["threat_model"]["eps"]
    return len(ran) == 1 and same_radii and not other


def judged_without(side: Side, wrong: Wrong, own: set[str]) -> Wrong:
    """Give what was got wrong, with a worst case over all attacks but some; without one if no other ran.

    What is made on one of two meets that one by its own gradients, and the other by those of a stranger.
    """
    if not own & {label for label, _ in wrong}:
        return wrong
    suite, kinds = side.run.board.suite, side.run.board.status.attacks
    noise = {
        label for label, attack in zip(labels(suite), suite["attacks"], strict=True) if is_noise(attack["name"], kinds)
    }
    found = {key: each for key, each in wrong.items() if key[0] != WORST}
    counted = {key: each for key, each in found.items() if key[0] not in {*own, *noise}}
    for key in wrong:
        if key[0] == WORST and any(label and eps <= key[1] for label, eps in counted):
            found[key] = np.logical_or.reduce([each for (_, eps), each in counted.items() if eps <= key[1]])
    return found


def other_attacks(first: Side, second: Side) -> set[str]:
    """Find attacks that both ran under one label, but of other options, code or surrogate: a difference is theirs."""
    a, b = (
        dict(zip(labels(side.run.board.suite), side.run.board.suite["attacks"], strict=True))
        for side in (first, second)
    )
    shared = a.keys() & b.keys()
    allowed = [side.run.board.suite["threat_model"].get("budget") for side in (first, second)]
    if allowed[0] != allowed[1]:
        return set(shared)
    codes = _own_code(first), _own_code(second)
    both = codes[0].keys() & codes[1].keys()
    found = {label for label in shared if {**a[label], "surrogate": ""} != {**b[label], "surrogate": ""}}
    found |= {label for label in both if codes[0][label] != codes[1][label]}
    made = {label: (a[label]["surrogate"], b[label]["surrogate"]) for label in shared - found}
    alike = {names: same_networks(first, second, names) for names in set(made.values())}
    return found | {label for label, names in made.items() if not alike[names]}


def _own_code(side: Side) -> dict[str, Any]:
    """Give the files of the user's that each attack was made by, by what they hold; a published board keeps none.

    An attack of a package may go by a plain name. What a step of one of lrbench's holds is of the user's measures.
    """
    own = (record for record in _attacked(side) if not is_ours(ATTACKS, record.config["attack"]["name"]))
    return {record.id.split("/")[3]: record.config.get("own") for record in own}


def codes(first: Side, second: Side) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give what each side's network, and each attack, is made of that is the user's own, where both runs know that."""
    if first.run.published or second.run.published:
        return {}, {}
    a, b = ({"code": {"network": _code_of_network(side), "attacks": _own_code(side)}} for side in (first, second))
    return a, b


def _code_of_network(side: Side) -> Any:  # noqa: ANN401
    step = step_in(side.run, side.model, side.seeds[0])
    record = side.run.as_planned(step) if step else None
    return record.config.get("own") if record else None


def making(side: Side) -> dict[str, Any]:
    """Give what of a suite makes a side's figures: its model, training, data, threat model and attacks."""
    suite = side.run.board.suite
    surrogates = dict.fromkeys(attack["surrogate"] for attack in suite["attacks"] if attack["surrogate"])
    made = {name: recipe_of(side, name) for name in surrogates if name != side.model}
    used = recipe_of(side, side.model) | ({"surrogates": made} if made else {})
    return used | {"data": suite["data"], "threat_model": suite["threat_model"], "attacks": suite["attacks"]}


def differing(first: Any, second: Any, path: str = "") -> dict[str, tuple[Any, Any]]:  # noqa: ANN401
    """Give what differs between two nested mappings, and lists of what has labels: key path -> both values."""
    parts = _parts(first), _parts(second)
    found: dict[str, tuple[Any, Any]] = {}
    if isinstance(parts[0], dict) and isinstance(parts[1], dict):
        for key in dict.fromkeys([*parts[0], *parts[1]]):
            found |= differing(parts[0].get(key), parts[1].get(key), f"{path}.{key}" if path else str(key))
    return found or ({} if first == second else {path: (first, second)})


def _parts(value: Any) -> Any:  # noqa: ANN401
    """Give attacks, and whatever else is listed with a label, by these."""
    labelled = isinstance(value, list) and all(isinstance(each, dict) and "label" in each for each in value)
    return {each["label"]: each for each in value} if labelled else value
