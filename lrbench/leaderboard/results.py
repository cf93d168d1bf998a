"""The tidy table of results, and what follows from it for a whole run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lrbench.columns import INTERVAL, as_text
from lrbench.leaderboard.layout import AT_L2, MISCLASSIFICATION, ROBUST
from lrbench.measures.registry import metric_named
from lrbench.statistics import holm, interval_of
from lrbench.views import joined, tidy
from lrbench.views.rows import Row, fewest, records

ADJUSTED = "p_adjusted"
COMPARED = ("robust_accuracy_difference", "p_value")
"""Figures of two models, this one and the first of the suite, over all seeds."""

RETIRED = ("difference", "mcnemar_p")
"""Of boards published before there was one estimator over seeds. They are kept, and shown nowhere."""

DERIVED = frozenset({"auc_l2", ROBUST, ADJUSTED, MISCLASSIFICATION + AT_L2, ROBUST + AT_L2})
"""Figures that follow from other rows of the table."""


def is_time(metric: str) -> bool:
    """Whether a metric is a measured time."""
    known = metric_named(metric)
    return known is not None and known.time


def timed(table: pd.DataFrame) -> "pd.Series[bool]":
    """Say of each row of a table whether it is a measured time."""
    return table["metric"].isin([metric for metric in table["metric"].unique() if is_time(metric)])


def spent(table: pd.DataFrame) -> "pd.Series[bool]":
    """Say of each row of a table whether it is a measured time, or a cost."""
    known = {metric: metric_named(metric) for metric in table["metric"].unique()}
    costs = [metric for metric, each in known.items() if each is not None and each.cost]
    return timed(table) | table["metric"].isin(costs)


def is_own(metric: str) -> bool:
    """Whether a metric is of a measure of somebody's own, whose name stands before it."""
    return ":" in metric


def derived(results: pd.DataFrame, levels: Sequence[float] = ()) -> tuple[pd.DataFrame, dict[str, float]]:
    """Append robust accuracy and what follows from each misclassification-against-L2 curve; give the curves' range.

    Robust accuracy is 1 - misclassification, for every attack and radius, for the worst case, and before any attack;
    its interval is the other one turned round. The p-values of all differences that the table holds are adjusted for
    there being so many (Holm).

    A curve (figure 5 of the paper, and in its convention) runs from (0, clean misclassification) through (mean L2
    dissimilarity, misclassification) at each eps. One that lacks a point is left out. All curves of an attack are
    integrated over the range that every one of them covers and divided by its length, so that areas are mean
    misclassifications in [0, 1] and can be compared. At each of `levels` that a curve reaches, its height is read off
    by linear interpolation. The range is given by attack.
    """
    curves = _curves(results)
    limits: dict[str, float] = {}
    for (attack, *_), (distances, _, _) in curves.items():
        limits[attack] = min(limits.get(attack, np.inf), float(distances[-1]))
    rows = _adjusted(results)
    for (attack, model, seed, space), (distances, errors, n) in curves.items():
        named = _interval_named(results, str(model))
        common = {
            "suite": results["suite"].iloc[0],
            "dataset": results["dataset"].iloc[0],
            "model": model,
            "seed": seed,
            "attack": attack,
            "space": space,
        }
        area = _area(distances, errors, limits[attack])
        rows.append({**common, "metric": "auc_l2", "value": area, "n": n})
        for level in levels:
            if level <= distances[-1]:
                error = float(np.interp(level, distances, errors))
                low, high = interval_of(error, n, named)
                height: dict[str, Any] = {"value": error, "ci_low": low, "ci_high": high, "n": n}
                height |= {INTERVAL: named} if named else {}
                rows.append({**common, "metric": MISCLASSIFICATION + AT_L2, "l2": as_text(level), **height})
    found = joined([results, tidy(rows)]) if rows else results
    return _with_robust_accuracy(found), limits


def _interval_named(results: pd.DataFrame, model: str) -> str:
    """Name what the intervals of a model's shares under attack are by; empty for Wilson's."""
    attacked = results[(results["model"] == model) & (results["metric"] == MISCLASSIFICATION)]
    return str(attacked[INTERVAL].iloc[0]) if INTERVAL in attacked and len(attacked) else ""


def _with_robust_accuracy(results: pd.DataFrame) -> pd.DataFrame:
    wrong = results[results["metric"].isin([MISCLASSIFICATION, MISCLASSIFICATION + AT_L2])]
    robust = wrong.assign(
        metric=wrong["metric"].str.replace(MISCLASSIFICATION, ROBUST),
        value=1 - wrong["value"],
        ci_low=1 - wrong["ci_high"],
        ci_high=1 - wrong["ci_low"],
    )
    return pd.concat([results, robust], ignore_index=True) if len(robust) else results


def _adjusted(results: pd.DataFrame) -> list[dict[str, Any]]:
    raw = results[results["metric"] == "p_value"]
    adjusted = holm(raw["value"].tolist())
    return [
        {str(key): value for key, value in row.items()} | {"metric": ADJUSTED, "value": p}
        for row, p in zip(records(raw), adjusted, strict=True)
    ]


Curve = tuple[np.ndarray, np.ndarray, int]


def _curves(results: pd.DataFrame) -> dict[tuple[str, str, int, str], Curve]:
    attacked = results[(results["attack"] != "") & results["metric"].isin([MISCLASSIFICATION, "l2_dissimilarity"])]
    clean = results[(results["attack"] == "") & (results["metric"] == MISCLASSIFICATION)]
    start = {(model, seed): value for model, seed, value in clean[["model", "seed", "value"]].itertuples(index=False)}
    radii: dict[str, set[float]] = {}
    found: dict[tuple[str, str, int, str], dict[str, dict[float, list[Row]]]] = {}
    for row in records(attacked.dropna(subset=["eps"])):
        radii.setdefault(row["attack"], set()).add(row["eps"])
        if not pd.isna(row["seed"]):
            points = found.setdefault((row["attack"], row["model"], int(row["seed"]), row["space"]), {})
            points.setdefault(row["metric"], {}).setdefault(row["eps"], []).append(row)
    curves = {}
    for (attack, model, seed, space), points in found.items():
        errors, distances = points.get(MISCLASSIFICATION, {}), points.get("l2_dissimilarity", {})
        # A minimal attack, or the worst case: no one distance belongs to a radius. And a curve that lacks a point is
        # another curve, and would shorten the range of all models.
        if not errors.keys() == distances.keys() == radii[attack] or (model, seed) not in start:
            continue
        eps = sorted(errors)
        x = np.array([0.0, *(_mean(distances[each]) for each in eps)])
        y = np.array([start[model, seed], *(_mean(errors[each]) for each in eps)], float)
        if np.isfinite([x[1:], y[1:]]).all() and x[-1] > 0:
            order = np.argsort(x, kind="stable")
            n = int(fewest(row for rows in errors.values() for row in rows))
            curves[attack, model, seed, space] = x[order], y[order], n
    return curves


def _mean(rows: list[Row]) -> float:
    return float(np.mean([float(row["value"]) for row in rows]))


def _area(distances: np.ndarray, errors: np.ndarray, limit: float) -> float:
    inside = distances < limit
    x = np.append(distances[inside], limit)
    y = np.append(errors[inside], np.interp(limit, distances, errors))
    return float(np.trapezoid(y, x) / limit)
