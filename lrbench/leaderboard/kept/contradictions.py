"""What a record says twice, or what follows from something else in it, held against each other.

A checksum finds what was changed by accident. Whoever makes it anew has to change everything that follows, too.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from lrbench.catalogue import ATTACKS
from lrbench.leaderboard.kept.outcomes import Key, Wrong, unpacked
from lrbench.leaderboard.layout import WORST
from lrbench.leaderboard.results import COMPARED, RETIRED, is_derived, is_time
from lrbench.names import model_in
from lrbench.statistics import wilson
from lrbench.verdicts import VERDICTS, VerdictName, verdict_of

Content = dict[str, Any]
Row = dict[str, Any]

CLEAN: Key = ("", 0.0)
FIRST = "first_to_fool"
WRONG = "misclassification"

NOISE = frozenset({"gaussian-noise"})
"""Attacks of lrbench's that stay within no radius, so that no worst case is over them."""


def contradictions(record: Content) -> Iterator[str]:
    """Say, one after the other, in what a record of the right form differs from itself."""
    rows = [row for row in record["results"] if row["metric"] not in (*COMPARED, *RETIRED)]
    yield from _names(record)
    yield from _steps(record)
    yield from _cautions(record, rows)
    yield from _rows(record, rows)
    yield from _verdicts(record, rows)
    yield from _means(rows)
    for seed in sorted({row["seed"] for row in rows}):
        yield from _attacks(record, seed, [row for row in rows if row["seed"] == seed])


def _names(record: Content) -> Iterator[str]:
    suite, models = record["configuration"]["name"], [*record["configuration"]["models"]]
    if suite != record["suite"] or models != [record["model"]]:
        yield f"is of {record['model']} in {record['suite']}, but its configuration is of {', '.join(models)} in {suite}"


def _steps(record: Content) -> Iterator[str]:
    others = [step for step in record["artefacts"] if step.count("/") < 2 or model_in(step) != record["model"]]
    if others:
        yield f"names a step of another model ({others[0]})"
    steps = record.get("steps")
    if steps is None:
        return
    done, missing = len(record["artefacts"]), steps["missing"]
    if len(set(missing) - set(record["artefacts"])) != len(missing):
        yield "says that a step is missing whose files it names, or says it twice"
    if (steps["done"], steps["planned"]) != (done, done + len(missing)):
        yield f"says that {steps['done']} of {steps['planned']} steps are done, but names {done} and misses {len(missing)}"


def _cautions(record: Content, rows: list[Row]) -> Iterator[str]:
    """Hold how many cautions there are against what gives cause for one; their wording is that of their version."""
    steps = record.get("steps")
    causes = [steps is not None and steps["done"] != steps["planned"]]
    causes.append(any(row["metric"] == "lr_layer_epochs" and row["value"] == 0 for row in rows))
    if "cautions" in record and len(record["cautions"]) != sum(causes):
        yield f"has {len(record['cautions'])} cautions, but cause for {sum(causes)}"


def _rows(record: Content, rows: list[Row]) -> Iterator[str]:
    cells = Counter(_cell(row) for row in record["results"])
    twice = next((cell for cell, count in cells.items() if count > 1), None)
    if twice is not None:
        yield f"says {twice[0]} of {twice[1] or 'no attack'} twice (seed {twice[4]})"
    common = {name: record[name] for name in ("suite", "model", "dataset")}
    seeds = record["configuration"]["seeds"]
    for row in rows:
        told = f"says {row['metric']} = {row['value']}"
        if any(row[name] != value for name, value in common.items()) or row["seed"] not in seeds:
            yield f"{told} of another suite, model, data set or seed"
        elif is_derived(row["metric"]) or is_time(row["metric"]):
            yield f"{told}, which no record keeps"
        elif (row["ci_low"] is None) != (row["ci_high"] is None) or not _is_share(row):
            yield f"{told}, which is not what its interval or its {row['n']} images say"


def _cell(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("metric", "attack", "layer", "eps", "seed", "space"))


def _is_share(row: Row) -> bool:
    """Whether a figure with an interval is one of its images, with that interval; True for all others."""
    if row["ci_low"] is None and row["metric"] not in {WRONG, FIRST, "accuracy"}:
        return True
    value, n = row["value"], row["n"]
    if value is None or not n or not 0 <= value <= 1 or abs(value * n - round(value * n)) > 1e-6:
        return False
    if row["metric"] == FIRST:
        return row["ci_low"] is None
    return row["ci_low"] is not None and np.allclose((row["ci_low"], row["ci_high"]), wilson(value, n), rtol=0, atol=1e-9)


def verdict_told(masking: Content) -> VerdictName | None:
    """Give the verdict that checks come to, the worst over seeds; None if there are none."""
    if not masking:
        return None
    return verdict_of(severity for told in masking.values() for severity in _severities(told))


def _severities(told: Content) -> list[str]:
    return [check["severity"] for check in told["checks"] if check["flagged"]]


def _verdicts(record: Content, rows: list[Row]) -> Iterator[str]:
    """Hold the verdicts, the checks and the rows that show them against each other."""
    expected: dict[tuple[Any, ...], float | None] = {}
    for seed, told in record["masking"].items():
        if told["verdict"] != (found := verdict_of(_severities(told))):
            yield f"says {told['verdict']!r} (seed {seed}), but its checks come to {found!r}"
        expected[int(seed), "verdict"] = VERDICTS.index(told["verdict"])
        for check in told["checks"]:
            expected[int(seed), f"check[{check['id']}]"] = check["figure"]
            expected[int(seed), f"flag[{check['id']}]"] = float(check["flagged"])
    shown = {
        (row["seed"], row["metric"]): row["value"]
        for row in rows
        if row["metric"] == "verdict" or row["metric"].startswith(("check[", "flag["))
    }
    if record["verdict"] != (whole := verdict_told(record["masking"])):
        yield f"says {record['verdict']!r}, but its checks come to {whole!r}"
    for key in dict.fromkeys([*expected, *shown]):
        if key not in shown or key not in expected or shown[key] != expected[key]:
            yield f"does not show what its checks for masked gradients found ({key[1]}, seed {key[0]})"


def _means(rows: list[Row]) -> Iterator[str]:
    """Hold means against what they are means of."""
    for mean, of in (("vr_1_class_mean", "vr_1["), ("corruption_accuracy", "corruption_accuracy[")):
        for row in (row for row in rows if row["metric"] == mean):
            where = (row["seed"], row["layer"])
            parts = [r["value"] for r in rows if r["metric"].startswith(of) and (r["seed"], r["layer"]) == where]
            numbers = [row["value"], *parts]
            if not parts or None in numbers or not math.isclose(row["value"], sum(parts) / len(parts), abs_tol=1e-9):
                yield f"says {mean} = {row['value']} (seed {row['seed']}), which is not the mean of its parts"


def _attacks(record: Content, seed: int, rows: list[Row]) -> Iterator[str]:
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
    for row in rows if clean else ():
        if row["metric"] != "accuracy":
            continue
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
    """Give which attacks the worst case may be over: of others' attacks a record does not say which are noise."""
    there, fooling = ({label for label, _ in each} for each in (wrong, first))
    attacks = [each for each in record["configuration"]["attacks"] if each["label"] in there and each["name"] not in NOISE]
    yield [attack["label"] for attack in attacks]
    yield [attack["label"] for attack in attacks if attack["label"] in fooling or _is_ours(attack["name"])]


def _is_ours(attack: str) -> bool:
    """Whether an attack comes with lrbench, and not from a package or the code of somebody else."""
    return attack in ATTACKS and isinstance(ATTACKS[attack].target, str)


def _fooled_first(wrong: Wrong, labels: list[str]) -> dict[Key, float] | None:
    """Give the share that each attack fooled first, from the smallest radius up; None if they are not the worst case."""
    fooled, shares, found = wrong[CLEAN], dict.fromkeys(labels, 0.0), dict[Key, float]()
    for eps in sorted(eps for label, eps in wrong if label == WORST):
        for label in (label for label in labels if (label, eps) in wrong):
            new = wrong[label, eps] & ~fooled
            fooled, shares[label] = fooled | new, shares[label] + float(new.mean())
        if not np.array_equal(fooled, wrong[WORST, eps]):
            return None
        found |= {(label, eps): share for label, share in shares.items() if share}
    return found


def _same(told: dict[Key, float], found: dict[Key, float] | None) -> bool:
    return found is not None and told.keys() == found.keys() and all(abs(told[key] - found[key]) < 1e-9 for key in told)


def _worst(record: Content, shares: dict[Key, float], first: dict[Key, float]) -> Iterator[str]:
    """Hold shares against each other, as older records have nothing else."""
    inside = {
        attack["label"]
        for attack in record["configuration"]["attacks"]
        if _is_ours(attack["name"]) and attack["name"] not in NOISE
    }
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
