"""Charts of attacks: by radius, by L2 dissimilarity, and by the smallest perturbation."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lrbench.leaderboard.layout import MISCLASSIFICATION, ROBUST, labels, summed_up
from lrbench.leaderboard.worth import ALONE
from lrbench.names import WORST
from lrbench.views import Shown, n_suffix
from lrbench.views.charts import Axis, Chart, Panel

GRID = 200
"""Sizes of perturbations at which a curve is taken."""

CROWD = 8
"""Models whose bands and thin lines can be told apart, at most."""

NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}


def by_radius(shown: Shown, suite: dict[str, Any]) -> Iterator[Chart]:
    """Robust accuracy by radius, in the worst case over attacks and under each."""
    threat = suite["threat_model"]
    in_pixels = threat["space"] == "pixel"
    scale = 255 if in_pixels and threat["norm"] == "linf" else 1
    unit = "units of the pixel range" if in_pixels else "standard deviations of the pixels"
    title = "radius, in 1/255 of the pixel range" if scale == 255 else f"radius in {NORMS[threat['norm']]}, in {unit}"
    tables = {attack: _at_radii(shown, ROBUST, attack, scale) for attack in [WORST, *labels(suite)]}
    for attack, whole in tables.items():
        if not whole["attack"].any():
            continue
        table = _drawn(shown, whole)
        caption = f"Robust accuracy by radius, mean over seeds{n_suffix(table)}; {_intervals(shown, suite)}."
        faint = None
        if attack == WORST and not _crowded(shown):
            radii = sorted(set(table["radius"]))
            others = [_in_parts(each, label, radii) for label, each in tables.items() if label != WORST]
            faint = pd.concat(others) if others else None
            caption += " Thin: each attack."
        if attack == WORST:
            caption += _fewer(shown)
        y = Axis("value", f"robust accuracy, %{n_suffix(table)}", domain=(0, 100))
        panel = Panel(table, Axis("radius", title), y, "line", faint=faint)
        name = "Worst case over attacks" if attack == WORST else attack
        file = WORST if attack == WORST else ""
        yield Chart(f"radius-{attack}", name, caption, [panel], shown.labels, file=file)


def _crowded(shown: Shown) -> bool:
    """Whether bands would hide one another."""
    return len(shown.labels) > CROWD


def _drawn(shown: Shown, table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["low", "high"]) if _crowded(shown) else table


def _intervals(shown: Shown, suite: dict[str, Any]) -> str:
    if _crowded(shown):
        return "the tables have the 95 % intervals"
    stopped = isinstance(suite["threat_model"].get("samples"), dict)
    return f"the band is the 95 % {'confidence sequence' if stopped else 'Wilson interval'}"


def _in_parts(table: pd.DataFrame, label: str, radii: list[float]) -> pd.DataFrame:
    """Name an attack's line, and its parts where it did not run at radii between: nothing is known there."""
    table = table.sort_values(["model", "radius"])
    place = table["radius"].map(radii.index)
    part = (place.groupby(table["model"]).diff() > 1).groupby(table["model"]).cumsum()
    return table.assign(line=[f"{label}, {number}" if number else label for number in part])


def _fewer(shown: Shown) -> str:
    """Say at which radii the worst case is over fewer attacks than at others; empty where there are none."""
    counts = shown.rows(ALONE).groupby("eps")["attack"].nunique()
    fewer = [shown.radius(float(eps)) for eps in sorted(counts.index[counts < counts.max()])]
    return f" Fewer attacks ran at {', '.join(fewer)}, where it is a looser bound." if fewer else ""


def _at_radii(shown: Shown, metric: str, attack: str, scale: float) -> pd.DataFrame:
    """Robust accuracy or misclassification of each model at each radius, without an attack at 0, in %."""
    table = shown.aggregated
    shares = table[(table["metric"] == metric) & table["attack"].isin(["", attack])]
    # What was not attacked is no point of an attack's line.
    shares = shares[shares["model"].isin(shares.loc[shares["attack"] != "", "model"])]
    shares = shares.assign(
        eps=shares["eps"].fillna(0.0), value=100 * shares["value"], low=100 * shares["ci_low"],
        high=100 * shares["ci_high"],
    )  # fmt: skip
    shares = shares.assign(radius=scale * shares["eps"]).sort_values(["model", "radius"])
    return shares[["model", "attack", "eps", "radius", "value", "low", "high", "n"]]


def by_distance(shown: Shown, suite: dict[str, Any]) -> Iterator[Chart]:
    """Misclassification against L2 dissimilarity (paper, figure 5)."""
    table = shown.aggregated
    levels = suite["threat_model"].get("l2_dissimilarities", [])
    for attack in summed_up(suite):
        distance = table[(table["metric"] == "l2_dissimilarity") & (table["attack"] == attack)]
        of = distance.set_index(["model", "eps"])["value"]
        errors = _at_radii(shown, MISCLASSIFICATION, attack, 1)
        keys = errors[["model", "eps"]].itertuples(index=False, name=None)
        displaced = pd.Series([0.0 if key[1] == 0 else of.get(key, float("nan")) for key in keys], index=errors.index)
        errors = errors.assign(l2=displaced).dropna(subset=["l2"]).sort_values(["model", "l2"])
        if not errors["attack"].any():
            continue
        errors = _drawn(shown, errors)
        caption = (
            f"As in the paper's figure 5, {suite['threat_model']['space']} space: misclassified images by how far the "
            f"attack moved them{n_suffix(errors)}; {_intervals(shown, suite)}."
            f"{' Dotted: where the tables read it off.' if levels else ''}"
        )
        x = Axis("l2", "mean L2 dissimilarity |x_adv - x| / |x|", domain=(0, None))
        y = Axis("value", f"misclassified, %{n_suffix(errors[errors['attack'] != ''])}", domain=(0, 100))
        panel = Panel(errors, x, y, "line", rules=levels)
        name, title = f"distance-{attack}", f"{attack} by L2 dissimilarity"
        yield Chart(name, title, caption, [panel], shown.labels, file=f"misclassification-{attack}")


def smallest(shown: Shown, suite: dict[str, Any], sizes: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[Chart]:
    """Share of images of which no perturbation up to a given size was found that is misclassified."""
    found = shown.rows("found")
    for attack, by_model in sizes.items():
        finite = [values[np.isfinite(values)] for values in by_model.values()]
        if not any(map(len, finite)):
            continue
        limit = max(float(np.quantile(values, 0.98)) for values in finite if len(values))
        grid = np.linspace(0, max(limit, 1e-6), GRID)
        curves = [_withstanding(model, values, grid) for model, values in by_model.items()]
        n = n_suffix(found[found["attack"] == attack])
        x = Axis("size", f"size of the perturbation, {NORMS[suite['threat_model']['norm']]}", domain=(0, None))
        y = Axis("value", f"robust accuracy, %{n}", domain=(0, 100))
        name, title = f"smallest-perturbation-{attack}", f"Smallest perturbations by {attack}"
        caption = "Images that withstand every perturbation found up to a size."
        yield Chart(name, title, caption, [Panel(pd.concat(curves), x, y, "steps")], shown.labels)


def _withstanding(model: str, sizes: np.ndarray, grid: np.ndarray) -> pd.DataFrame:
    shares = np.searchsorted(np.sort(sizes), grid, side="right") / len(sizes)
    return pd.DataFrame({"model": model, "size": grid, "value": 100 * (1 - shares)})
