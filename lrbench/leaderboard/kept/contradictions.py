"""What a record says twice, or what follows from something else in it, held against each other.

A checksum finds what was changed by accident. Whoever makes it anew has to change everything that follows, too.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from lrbench.columns import COLUMNS, INTERVAL
from lrbench.leaderboard.kept.attacked import FIRST, WRONG, attacked
from lrbench.leaderboard.results import COMPARED, DERIVED, RETIRED, is_own, is_time
from lrbench.leaderboard.worth import WORTH
from lrbench.measures.registry import metric_named
from lrbench.names import WORST, model_in
from lrbench.statistics import Stopping, interval_of
from lrbench.verdicts import VERDICTS, VerdictName, verdict_of

Content = dict[str, Any]
Row = dict[str, Any]


def contradictions(record: Content) -> Iterator[str]:
    """Say, one after the other, in what a record of the right form differs from itself."""
    rows = [row for row in record["results"] if row["metric"] not in (*COMPARED, *RETIRED)]
    yield from _names(record)
    yield from _steps(record)
    yield from _cautions(record, rows)
    yield from _rows(record, rows)
    yield from _stopped(record, rows)
    yield from _verdicts(record, rows)
    yield from _means(rows)
    for seed in sorted({row["seed"] for row in rows}):
        yield from attacked(record, seed, [row for row in rows if row["seed"] == seed])


def _names(record: Content) -> Iterator[str]:
    suite, models = record["configuration"]["name"], [*record["configuration"]["models"]]
    if suite != record["suite"] or models != [record["model"]]:
        named = f"{', '.join(models)} in {suite}"
        yield f"is of {record['model']} in {record['suite']}, but its configuration is of {named}"


def _steps(record: Content) -> Iterator[str]:
    others = [step for step in record["artefacts"] if step.count("/") < 2 or model_in(step) != record["model"]]
    if others:
        yield f"names a step of another model ({others[0]})"
    if "keys" in record and (differs := sorted(record["keys"].keys() ^ record["artefacts"].keys())):
        yield f"has a key or files of a step, and not both ({differs[0]})"
    steps = record.get("steps")
    if steps is None:
        return
    done, missing = len(record["artefacts"]), steps["missing"]
    if len(set(missing) - set(record["artefacts"])) != len(missing):
        yield "says that a step is missing whose files it names, or says it twice"
    if (steps["done"], steps["planned"]) != (done, done + len(missing)):
        says = f"says that {steps['done']} of {steps['planned']} steps are done"
        yield f"{says}, but names {done} and misses {len(missing)}"


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
        yield f"says {twice[0]} of {twice[1] or 'no attack'} twice (seed {twice[2]})"
    common = {name: record[name] for name in ("suite", "model", "dataset")}
    seeds, stopping = record["configuration"]["seeds"], _stopping(record, rows)
    named = {metric: str(stopping) for metric in (WRONG, "found") if stopping}
    for row in rows:
        claim = f"says {row['metric']} = {row['value']}"
        if any(row[name] != value for name, value in common.items()) or row["seed"] not in seeds:
            yield f"{claim} of another suite, model, data set or seed"
        elif strange := _other_parameters(row):
            yield f"{claim} with other parameters than {strange}"
        elif not is_own(row["metric"]) and row.get(INTERVAL, "") != named.get(row["metric"], ""):
            yield f"{claim} with an interval of another kind than its configuration asks for"
        elif row["metric"] in {*DERIVED, *WORTH} or is_time(row["metric"]):
            yield f"{claim}, which no record keeps"
        elif (row["ci_low"] is None) != (row["ci_high"] is None) or not _is_share(row):
            yield f"{claim}, which is not what its interval or its {row['n']} images say"


def _stopping(record: Content, rows: list[Row]) -> Stopping | None:
    """Give how it was found how many images are attacked; None if the configuration gives a number."""
    samples = record["configuration"]["threat_model"]["samples"]
    if not isinstance(samples, dict):
        return None
    # All that there are, on which accuracy is measured.
    measured = next((row["n"] for row in rows if row["metric"] == "accuracy"), None)
    return Stopping(samples["until"] / 100, samples["most"] or measured or 1)


def _stopped(record: Content, rows: list[Row]) -> Iterator[str]:
    """Hold the number of images against why there are no more: the mean over seeds is known closely enough."""
    stopping = _stopping(record, rows)
    if stopping is None or record["configuration"]["threat_model"]["samples"]["of"] != "accuracy":
        return
    worst = [row for row in rows if row["metric"] == WRONG and row["attack"] == WORST]
    for eps in sorted({row["eps"] for row in worst}):
        here = [row for row in worst if row["eps"] == eps]
        n = min(row["n"] for row in here)
        whole = {row["seed"] for row in here} == {*record["configuration"]["seeds"]}
        if not whole or n == stopping.most:
            continue
        if not stopping.narrow(stopping.proportion(sum(row["value"] for row in here) / len(here), n)):
            yield f"stops after {n} images, where its worst case is not known as closely as its configuration asks"


def _other_parameters(row: Row) -> str:
    """Give the parameters that a figure has, where its row has others; somebody's own may be given without some."""
    known, given = metric_named(row["metric"]), {*row} - {*COLUMNS, INTERVAL}
    if known is None or given == {*known.parameters} or (is_own(row["metric"]) and given < {*known.parameters}):
        return ""
    return ", ".join(known.parameters) or "none"


def _cell(row: Row) -> tuple[Any, ...]:
    """Give what a figure is a figure of: its name, its attack, then everything else but its value."""
    rest = {name: value for name, value in row.items() if name not in {"value", "ci_low", "ci_high", "n"}}
    return row["metric"], row["attack"], row["seed"], *sorted(rest.items())


def _is_share(row: Row) -> bool:
    """Whether a figure with an interval is one of its images, with that interval; True for all others."""
    if row["ci_low"] is None and row["metric"] not in {WRONG, FIRST, "accuracy"}:
        return True
    value, n = row["value"], row["n"]
    known = metric_named(row["metric"])
    if is_own(row["metric"]) or (known is not None and known.form == "points"):
        # Nobody knows what it is an interval of, or it is one of a difference.
        return value is not None and row["ci_low"] <= value <= row["ci_high"]
    if value is None or not n or not 0 <= value <= 1 or abs(value * n - round(value * n)) > 1e-6:
        return False
    if row["metric"] == FIRST:
        return row["ci_low"] is None
    if row["ci_low"] is None:
        return False
    interval = interval_of(value, n, row.get(INTERVAL, ""))
    return np.allclose((row["ci_low"], row["ci_high"]), interval, rtol=0, atol=1e-9)


def verdict_of_checks(masking: Content) -> VerdictName | None:
    """Give the verdict that checks come to, the worst over seeds; None if there are none."""
    if not masking:
        return None
    return verdict_of(severity for checked in masking.values() for severity in _severities(checked))


def _severities(checked: Content) -> list[str]:
    return [check["severity"] for check in checked["checks"] if check["flagged"]]


def _verdicts(record: Content, rows: list[Row]) -> Iterator[str]:
    """Hold the verdicts, the checks and the rows that show them against each other."""
    expected: dict[tuple[Any, ...], float | None] = {}
    for seed, checked in record["masking"].items():
        if checked["verdict"] != (found := verdict_of(_severities(checked))):
            yield f"says {checked['verdict']!r} (seed {seed}), but its checks come to {found!r}"
        expected[int(seed), "verdict"] = VERDICTS.index(checked["verdict"])
        for check in checked["checks"]:
            expected[int(seed), "check", check["id"]] = check["figure"]
            expected[int(seed), "flag", check["id"]] = float(check["flagged"])
    shown = {
        (row["seed"], *(row[name] for name in ("metric", "check") if name in row)): row["value"]
        for row in rows
        if row["metric"] in {"verdict", "check", "flag"}
    }
    if record["verdict"] != (whole := verdict_of_checks(record["masking"])):
        yield f"says {record['verdict']!r}, but its checks come to {whole!r}"
    for key in dict.fromkeys([*expected, *shown]):
        if key not in shown or key not in expected or shown[key] != expected[key]:
            yield f"does not show what its checks for masked gradients found ({' '.join(key[1:])}, seed {key[0]})"


def _means(rows: list[Row]) -> Iterator[str]:
    """Hold means against what they are means of."""
    for row in rows:
        known = metric_named(row["metric"])
        if known is None or not known.mean_of:
            continue
        where = (known.mean_of, row["seed"], row["layer"])
        parts = [each["value"] for each in rows if (each["metric"], each["seed"], each["layer"]) == where]
        numbers = [row["value"], *parts]
        if not parts or None in numbers or not math.isclose(row["value"], sum(parts) / len(parts), abs_tol=1e-9):
            yield f"says {row['metric']} = {row['value']} (seed {row['seed']}), which is not the mean of its parts"
