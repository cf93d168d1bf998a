"""Figures of points: class-wise variance ratios, and the clusters of the classes."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figures.style import legend_below, looks, panels
from lrbench.views import matching

Cluster = tuple[NDArray[np.float32], NDArray[np.int64]]

NAMED_CLASSES = 30
"""Beyond so many, names under the axis would overlap."""


def class_variance(board: Leaderboard, layer: str) -> Figure | None:
    """VR_1 of each class's activations (paper, figures 3 and 4), classes by the first model's figure."""
    table = matching(board.aggregated, {"layer": layer, "metric": "class_vr"}).rename(columns={"class": "label"})
    if table.empty:
        return None
    models = list(board.suite["models"])
    by_model = table.pivot_table(index="label", columns="model", values="value")
    first = next(model for model in models if model in by_model)
    by_model = by_model.sort_values(first, ascending=False)
    figure, (axes,) = panels(1, width=max(6.4, 0.42 * min(len(by_model), NAMED_CLASSES)), height=4.2)
    for model, look in looks(models).items():
        if model in by_model:
            axes.plot(
                range(len(by_model)), by_model[model], label=board.labels[model], **look.options | {"linestyle": "none"}
            )
    if len(by_model) <= NAMED_CLASSES:
        axes.set_xticks(range(len(by_model)), list(by_model.index), rotation=45, ha="right", rotation_mode="anchor")
    axes.set_xlabel("class")
    axes.set_ylabel("class-wise $VR_1$")
    axes.set_title(f"First singular direction of each class, {layer}")
    legend_below(figure, axes)
    return figure


def clusters(found: Mapping[str, Cluster], classes: list[str], layer: str) -> Figure | None:
    """First two principal components of the test activations, one panel a model (paper, figure 6).

    A few far points would leave no room for the others, so a panel shows the middle 98 % in each direction and says how
    many lie outside.
    """
    if not found:
        return None
    figure, axes = panels(len(found), width=4.4, height=4.6)
    styles = looks(classes)
    for panel, (model, (points, labels)) in zip(axes, found.items(), strict=True):
        for label in np.unique(labels):
            name, mine = classes[label], points[labels == label]
            look = styles[name]
            panel.scatter(
                mine[:, 0], mine[:, 1], s=9, color=look.colour, marker=look.marker, alpha=0.55, linewidths=0, label=name
            )
        beyond = _frame(panel, points)
        panel.set_title(f"{model}\n{beyond} of {len(points)} points lie outside" if beyond else model)
        panel.set_xlabel("first principal component")
        panel.set_ylabel("second principal component")
    figure.suptitle(f"Test activations of {layer}", fontsize=11)
    legend_below(figure, axes[0], columns=5)
    return figure


def _frame(panel: Axes, points: NDArray[np.float32]) -> int:
    """Set the limits to the middle 98 % in each direction and a margin; give the number of points outside."""
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    margin = 0.08 * np.maximum(high - low, 1e-12)
    low, high = low - margin, high + margin
    panel.set_xlim(float(low[0]), float(high[0]))
    panel.set_ylim(float(low[1]), float(high[1]))
    return int(((points < low) | (points > high)).any(axis=1).sum())
