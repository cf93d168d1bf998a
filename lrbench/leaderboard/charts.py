"""Interactive charts of a leaderboard (Vega-Lite by Altair): in the report, and in a notebook."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.layout import MISCLASSIFICATION, ROBUST, WORST, labels, summed_up
from lrbench.views import matching, told_n

COLOURS = ["#0077bb", "#ee7733", "#009988", "#cc3311", "#ee3377", "#8c6bb1", "#997700", "#777777"]
"""Told apart by colour-blind readers, on light and on dark (Tol's vibrant scheme, and two more)."""

DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]
WIDTH, HEIGHT = 300, 220
SHOWN = "shown"
"""Parameter of every chart: the models that are drawn."""


@dataclass(frozen=True)
class Chart:
    """A chart: what it is called in files, its title, what it shows, and its specification."""

    name: str
    title: str
    caption: str
    spec: alt.TopLevelMixin


def charts(board: Leaderboard) -> list[Chart]:
    """Draw every chart that the results allow."""
    return [*_by_radius(board), *_by_distance(board), *_spectra(board), *_classes(board), *_representations(board)]


def chart(board: Leaderboard, name: str) -> alt.TopLevelMixin:
    """Draw one chart by name.

    Raises
    ------
    KeyError
        If the results hold no such chart; the message lists those there are.
    """
    there = {each.name: each.spec for each in charts(board)}
    if name not in there:
        msg = f"no chart {name!r}; there are {', '.join(there)}"
        raise KeyError(msg)
    return there[name]


def _models(board: Leaderboard) -> list[str]:
    return list(board.suite["models"])


def _finished(board: Leaderboard, drawing: Any, height: int = HEIGHT) -> alt.TopLevelMixin:  # noqa: ANN401
    finished: alt.TopLevelMixin = drawing.add_params(alt.param(name=SHOWN, value=_models(board))).properties(
        width=WIDTH, height=height
    )
    return finished


def on_a_page(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """Draw in the colours of the page around it, light or dark; for SVG alone, a canvas knows no `currentColor`."""
    ink = {"labelColor": "currentColor", "titleColor": "currentColor"}
    drawn: Any = chart
    finished: alt.TopLevelMixin = (
        drawn.configure(background="transparent", font="system-ui, sans-serif")
        .configure_axis(**ink, gridOpacity=0.25, domainColor="#888", tickColor="#888", gridColor="#888")
        .configure_legend(**ink, orient="bottom", columns=2, labelLimit=260, symbolOpacity=1)
        .configure_view(stroke="#888", strokeOpacity=0.4)
    )
    return finished


def _encodings(board: Leaderboard) -> dict[str, Any]:
    models = _models(board)
    dashes = [DASHES[index // len(COLOURS) % len(DASHES)] for index in range(len(models))]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(models))]
    # The lines go by the models' own names, which the page filters by.
    legend = alt.Legend(labelExpr=f"({json.dumps(board.labels)})[datum.label] || datum.label")
    return {
        "color": alt.Color("model:N", scale=alt.Scale(domain=models, range=colours), title=None, legend=legend),
        "strokeDash": alt.StrokeDash(
            "model:N", scale=alt.Scale(domain=models, range=dashes), title=None, legend=legend
        ),
    }


def _lines(board: Leaderboard, table: pd.DataFrame, x: alt.X, y: alt.Y, tooltip: list[Any]) -> alt.TopLevelMixin:
    """Draw a line for each model, with the band from `low` to `high` where there is one."""
    base = alt.Chart(table).transform_filter(f"indexof({SHOWN}, datum.model) >= 0")
    look = _encodings(board)
    line = base.mark_line(point=alt.OverlayMarkDef(size=28)).encode(x=x, y=y, tooltip=tooltip, **look)
    if "low" not in table:
        return _finished(board, alt.layer(line))
    band = base.mark_area(opacity=0.14).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=look["color"])
    return _finished(board, alt.layer(band, line))


def _percent(column: str, title: str) -> alt.Y:
    return alt.Y(f"{column}:Q", title=title, scale=alt.Scale(domain=[0, 100]))


def _by_eps(board: Leaderboard, metric: str, attack: str) -> pd.DataFrame:
    """Robust accuracy or misclassification of each model at each radius, without an attack at 0, in %."""
    table = board.aggregated
    shares = table[(table["metric"] == metric) & table["attack"].isin(["", attack])]
    shares = shares.assign(
        radius=shares["eps"].fillna(0.0), value=100 * shares["value"], low=100 * shares["ci_low"],
        high=100 * shares["ci_high"],
    )  # fmt: skip
    return shares[["model", "attack", "radius", "value", "low", "high", "n"]].astype({"n": "Int64"})


def _by_radius(board: Leaderboard) -> Iterator[Chart]:
    threat = board.suite["threat_model"]
    linf = threat["norm"] == "linf"
    unit = (
        ("1/255 of the pixel range" if linf else "L2")
        if threat["space"] == "pixel"
        else "1/255 of a standard deviation"
    )
    for attack in [WORST, *labels(board.suite)]:
        table = _by_eps(board, ROBUST, attack)
        if attack not in set(table["attack"]):
            continue
        table = table.assign(radius=table["radius"] * (255 if linf else 1)).sort_values(["model", "radius"])
        tooltip = [
            "model:N",
            alt.Tooltip("radius:Q", format=".4~g"),
            *(alt.Tooltip(f"{column}:Q", format=".1f") for column in ("value", "low", "high")),
            "n:Q",
        ]
        x = alt.X("radius:Q", title=f"radius, {unit}")
        spec = _lines(board, table.drop(columns="attack"), x, _percent("value", "robust accuracy, %"), tooltip)
        title = "Worst case over attacks" if attack == WORST else attack
        caption = f"Robust accuracy by radius, mean over seeds{told_n(table)}; the band is the 95 % Wilson interval."
        yield Chart(f"radius-{attack}", title, caption, spec)


def _by_distance(board: Leaderboard) -> Iterator[Chart]:
    """Misclassification against L2 dissimilarity (paper, figure 5)."""
    table = board.aggregated
    for attack in summed_up(board.suite):
        distance = table[(table["metric"] == "l2_dissimilarity") & (table["attack"] == attack)]
        if distance.empty:
            continue
        of = distance.set_index(["model", "eps"])["value"]
        errors = _by_eps(board, MISCLASSIFICATION, attack)
        keys = errors[["model", "radius"]].itertuples(index=False, name=None)
        moved = pd.Series([0.0 if key[1] == 0 else of.get(key, float("nan")) for key in keys], index=errors.index)
        errors = errors.assign(l2=moved).dropna(subset=["l2"])
        x = alt.X("l2:Q", title="mean L2 dissimilarity |x_adv - x| / |x|")
        tooltip = ["model:N", *(alt.Tooltip(f"{c}:Q", format=".4~g") for c in ("l2", "value", "low", "high"))]
        shown = errors.drop(columns="attack").sort_values(["model", "l2"])
        spec = _lines(board, shown, x, _percent("value", "misclassified, %"), tooltip)
        caption = (
            "As in the paper's figure 5: misclassified images by how far the attack moved them"
            f"{told_n(shown)}; 95 % Wilson band."
        )
        yield Chart(f"distance-{attack}", f"{attack} by L2 dissimilarity", caption, spec)


def _spectra(board: Leaderboard) -> Iterator[Chart]:
    """VR_k against k (paper, figures 1 and 2)."""
    spec = board.suite["diagnostics"].get("variance_ratio")
    for layer in spec["layers"] if spec else ():
        table = matching(board.results, {"layer": layer, "metric": "vr"})
        table = table.assign(k=pd.to_numeric(table["k"]))
        table = table[table["k"] <= spec["curve"]]
        if table.empty:
            continue
        by_k = table.groupby(["model", "k"])["value"].agg(value="mean", low="min", high="max").reset_index()
        x, y = alt.X("k:Q", title="directions k"), alt.Y("value:Q", title="VR_k", scale=alt.Scale(zero=False))
        tooltip = ["model:N", "k:Q", alt.Tooltip("value:Q", format=".5f")]
        caption = f"Share of the variance of {layer}'s activations in k directions; the band spans the seeds."
        yield Chart(f"variance-{layer}", f"Variance ratio of {layer}", caption, _lines(board, by_k, x, y, tooltip))


def _classes(board: Leaderboard) -> Iterator[Chart]:
    spec = board.suite["diagnostics"].get("variance_ratio")
    for layer in spec["layers"] if spec else ():
        table = matching(board.results, {"layer": layer, "metric": "class_vr"}).rename(columns={"class": "label"})
        if table.empty:
            continue
        by_class = table.groupby(["model", "label"], sort=False)["value"].mean().reset_index()
        base = alt.Chart(by_class).transform_filter(f"indexof({SHOWN}, datum.model) >= 0")
        drawn = base.mark_point(size=60, filled=True).encode(
            x=alt.X("value:Q", title="VR_1 of the class", scale=alt.Scale(zero=False)),
            y=alt.Y("label:N", title=None),
            color=_encodings(board)["color"],
            tooltip=["model:N", "label:N", alt.Tooltip("value:Q", format=".4f")],
        )
        caption = f"Share of each class's variance at {layer} in its first direction, mean over seeds."
        height = max(HEIGHT, 14 * by_class["label"].nunique())
        yield Chart(
            f"classes-{layer}", f"Class-wise variance of {layer}", caption, _finished(board, alt.layer(drawn), height)
        )


def _representations(board: Leaderboard) -> Iterator[Chart]:
    """Accuracy in few dimensions, and what a compressed network costs (paper, sections 3.5 and 4.4)."""
    table = board.aggregated
    shown = matching(table, {"metric": "embedding_accuracy"})
    shown = shown.assign(dims=shown.get("dimensions"), accuracy=100 * shown["value"])
    if not shown.empty:
        yield _bars(board, shown, "dims", "accuracy", "embeddings", "Linear classifier on PCA embeddings",
                    f"Test accuracy, %{told_n(shown)}, on a layer's activations, all or few dimensions.")  # fmt: skip
    parts = table[table["metric"].isin(["parameters", "multiply_adds", "compression_accuracy"])]
    for figure, rows in parts.assign(network=parts.get("part")).groupby("metric", sort=False):
        name = str(figure).replace("_", " ")
        yield _bars(board, rows, "network", "value", f"compression-{figure}", f"Compression: {name}",
                    f"{name.capitalize()} of the whole network and of the one with its end replaced.")  # fmt: skip


def _bars(board: Leaderboard, rows: pd.DataFrame, x: str, y: str, name: str, title: str, caption: str) -> Chart:
    base = alt.Chart(rows[["model", x, y]]).transform_filter(f"indexof({SHOWN}, datum.model) >= 0")
    drawn = base.mark_bar().encode(
        x=alt.X(f"{x}:N", title=None, sort=None, axis=alt.Axis(labelAngle=0)),
        xOffset="model:N",
        y=alt.Y(f"{y}:Q", title=None),
        color=_encodings(board)["color"],
        tooltip=["model:N", f"{x}:N", alt.Tooltip(f"{y}:Q", format=".4~s")],
    )
    return Chart(name, title, caption, _finished(board, alt.layer(drawn)))
