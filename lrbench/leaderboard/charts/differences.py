"""The chart of how each model differs from the first one in the worst case over attacks."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd

from lrbench.leaderboard.figure_text import verdict_shown
from lrbench.leaderboard.layout import DIFFERENCES, middle
from lrbench.names import WORST
from lrbench.statistics.difference import LEVEL
from lrbench.verdicts import VERDICTS
from lrbench.views import Shown, n_suffix
from lrbench.views.charts import Axis, Chart, Panel

FEWEST = 2
"""Models held against the first one that are worth a picture."""

STEP = 5
"""Points to which the ends of the axis are rounded."""

FOUND = BELOW, OTHER, UNKNOWN = f"adjusted p below {LEVEL:g}", f"adjusted p of {LEVEL:g} and more", "no p"
"""All of them have a colour, so that it means the same on every board."""


def differences(shown: Shown, suite: dict[str, Any]) -> Iterator[Chart]:
    """Give a panel for each radius, with a row for each model, the largest difference at the top.

    A single model that is held against the first one is told better by a table. What the first one starts from is a
    stage of its training: so far from it that beside it no other difference would be seen.
    """
    names = _names(shown)
    baseline, *stages = _training_of_the_first(suite["models"])
    found = _differences(shown, names)
    table = found[~found["model"].isin(stages)]
    if table["label"].nunique() < FEWEST:
        return
    first = names[baseline]
    at = {eps: table[table["eps"] == eps] for eps in sorted(set(table["eps"]))}
    headline = at.get(middle(suite), table).sort_values("value", ascending=False, kind="stable")
    order = list(dict.fromkeys([*headline["label"], *table["label"]]))
    x = Axis("value", f"robust accuracy minus that of {first}, points{n_suffix(table)}", domain=_ends(table))
    y = Axis("label", "model", "category", order=order)
    panels = [Panel(rows, x, y, "points", shown.radius(eps), rules=[0.0]) for eps, rows in at.items()]
    caption = (
        f"Robust accuracy in the worst case over attacks minus that of {first}{n_suffix(table)}; the bar is the "
        "95 % interval over images, and over seeds where there are several, before adjustment."
    )
    if left_out := [shown.labels[model] for model in stages if model in set(found["model"])]:
        caption += f" {first} starts from {', '.join(left_out)}, which the tables have."
    title = f"Robust accuracy minus that of {first}"
    yield Chart("differences", title, caption, panels, {each: each for each in FOUND}, by="found")


def _training_of_the_first(models: dict[str, Any]) -> list[str]:
    """Name the first model, the one that it starts from, and so on."""
    passed = [next(iter(models))]
    while (start := models[passed[-1]].get("init_from")) in models and start not in passed:
        passed.append(start)
    return passed


def _ends(table: pd.DataFrame) -> tuple[float, float]:
    """Give the ends of the axis that all radii share."""
    spans = table[["value", "low", "high"]]
    low, high = min(0.0, float(spans.min().min())), max(0.0, float(spans.max().max()))
    left, right = STEP * math.floor(low / STEP), STEP * math.ceil(high / STEP)
    return (left, right) if left < right else (-STEP, STEP)


def _found(p: float) -> str:
    if math.isnan(p):
        return UNKNOWN
    return BELOW if p < LEVEL else OTHER


def _differences(shown: Shown, names: dict[str, str]) -> pd.DataFrame:
    """Differences in points, one row for each model and radius, and whether chance can be left out."""
    (difference, *_), (adjusted, *_) = DIFFERENCES
    rows = shown.rows(difference, attack=WORST).dropna(subset=["value"])
    p = shown.rows(adjusted, attack=WORST).set_index(["model", "eps"])["value"]
    keys = rows[["model", "eps"]].itertuples(index=False, name=None)
    return pd.DataFrame(
        {
            "model": rows["model"],
            "label": [names[model] for model in rows["model"]],
            "found": [_found(p.get(key, math.nan)) for key in keys],
            "eps": rows["eps"],
            "value": 100 * rows["value"],
            "low": 100 * rows["ci_low"],
            "high": 100 * rows["ci_high"],
            "n": rows["n"],
        }
    )


def _names(shown: Shown) -> dict[str, str]:
    """Put behind each model's name the verdict that speaks against its figure, and where others have one, that none is.

    Each model has a row of its own, be it called like another one with its verdict.
    """
    cells = shown.column("verdict", "verdict", "verdict").cells
    said = {model: verdict_shown(cells.get(model)) for model in shown.labels} if cells else {}
    names = {
        model: f"{label} ({said[model]})" if said.get(model, VERDICTS[0]) != VERDICTS[0] else label
        for model, label in shown.labels.items()
    }
    count = Counter(names.values())
    return {model: name if count[name] == 1 else f"{name} [{model}]" for model, name in names.items()}
