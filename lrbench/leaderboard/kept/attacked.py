"""What became of a record's images under attacks, held against its figures and against one another."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lrbench.leaderboard.kept.outcomes import unpacked
from lrbench.leaderboard.said import is_noise, said_of
from lrbench.leaderboard.worth import CLEAN, Key, Wrong
from lrbench.names import WORST

Content = dict[str, Any]
Row = dict[str, Any]

FIRST = "first_to_fool"
WRONG = "misclassification"


def attacked(record: Content, seed: int, rows: list[Row]) -> Iterator[str]:
    """Hold what became of the images under each attack against the figures, and the worst case against both."""
    threat = record["configuration"]["threat_model"]
    shares = {(row["attack"], row["eps"]): row for row in rows if row["metric"] == WRONG}
    first = {(row["attack"], row["eps"]): row["value"] for row in rows if row["metric"] == FIRST}
    for (attack, eps), row in shares.items():
        if row["space"] != threat["space"] or eps not in ({0.0} if not attack else threat["eps"]):
            yield f"says {row['value']} under {attack or 'no attack'} (seed {seed}), which is outside its threat model"
    yield from _accuracy(rows, shares)
    if str(seed) in record.get("outcomes", {}):
        yield from _images(record, seed, shares, first)
    elif shares and record["format"] > 1:
        yield f"lacks what became of its images (seed {seed})"
    yield from _worst(record, {key: row["value"] for key, row in shares.items()}, first)


def _accuracy(rows: list[Row], shares: dict[Key, Row]) -> Iterator[str]:
    """Hold the accuracy on all images against that on those that were attacked, which are among them."""
    clean = shares.get(CLEAN)
    if clean is None:
        return
    for row in (row for row in rows if row["metric"] == "accuracy"):
        right, wrong = round(row["value"] * row["n"]), round((1 - row["value"]) * row["n"])
        missed = round(clean["value"] * clean["n"])
        if missed > wrong or clean["n"] - missed > right:
            yield f"says accuracy = {row['value']}, but {missed} of {clean['n']} of those images are misclassified"


def _images(record: Content, seed: int, shares: dict[Key, Row], first: dict[Key, float]) -> Iterator[str]:
    try:
        wrong = unpacked(record["outcomes"][str(seed)])
    except ValueError as error:
        yield f"says {error} (seed {seed}), which is not what became of its images"
        return
    for key in dict.fromkeys([*shares, *wrong]):
        row = shares.get(key, {"value": None, "n": None})
        if key not in wrong or row["n"] != len(wrong[key]) or abs(float(wrong[key].mean()) - row["value"]) > 1e-9:
            under = f"{row['value']} under {key[0] or 'no attack'}"
            yield f"says {under} (seed {seed}), which is not what became of its images"
    if CLEAN in wrong and any(label == WORST for label, _ in wrong):
        found = [_fooled_first(wrong, labels) for labels in _counted(record, wrong, first)]
        if not any(_same(first, each) for each in found):
            yield f"says another worst case (seed {seed}) than its attacks come to"


def _counted(record: Content, wrong: Wrong, first: dict[Key, float]) -> Iterator[list[str]]:
    """Give which attacks the worst case may be over: of others' attacks older records do not say which are noise."""
    there, fooling = ({label for label, _ in each} for each in (wrong, first))
    recorded = record.get("attacks", {})
    listed = [(each["label"], each["name"]) for each in record["configuration"]["attacks"]]
    attacks = [(label, name) for label, name in listed if label in there and not is_noise(name, recorded)]
    yield [label for label, _ in attacks]
    yield [label for label, name in attacks if label in fooling or said_of(name, recorded) is not None]


def _fooled_first(wrong: Wrong, labels: list[str]) -> dict[Key, float] | None:
    """Give the share that each attack fooled first, the smallest radius first; None if they are not the worst case."""
    fooled, shares, found = wrong[CLEAN], dict.fromkeys(labels, 0.0), dict[Key, float]()
    for eps in sorted(eps for label, eps in wrong if label == WORST):
        for label in (label for label in labels if (label, eps) in wrong):
            new = wrong[label, eps] & ~fooled
            fooled, shares[label] = fooled | new, shares[label] + float(new.mean())
        if not np.array_equal(fooled, wrong[WORST, eps]):
            return None
        found |= {(label, eps): share for label, share in shares.items() if share}
    return found


def _same(stated: dict[Key, float], found: dict[Key, float] | None) -> bool:
    return (
        found is not None
        and stated.keys() == found.keys()
        and all(abs(stated[key] - found[key]) < 1e-9 for key in stated)
    )


def _worst(record: Content, shares: dict[Key, float], first: dict[Key, float]) -> Iterator[str]:
    """Hold shares against each other, as older records have nothing else."""
    recorded = record.get("attacks", {})
    attacks = record["configuration"]["attacks"]
    known = {attack["label"] for attack in attacks if said_of(attack["name"], recorded) is not None}
    inside = known - {attack["label"] for attack in attacks if is_noise(attack["name"], recorded)}
    clean = reached = shares.get(CLEAN, 0.0)
    for eps in sorted(eps for label, eps in shares if label == WORST):
        worst = shares[WORST, eps]
        under = [reached, *(value for (label, radius), value in shares.items() if radius == eps and label in inside)]
        if max(under) > worst + 1e-9:
            yield f"says a worst case of {worst} that an attack, or a smaller radius, is worse than"
        gained = sum(value for (_, radius), value in first.items() if radius == eps)
        if abs(clean + gained - worst) > 1e-9:
            yield f"says a worst case of {worst} that is not the sum of whom each attack fooled first"
        reached = worst
