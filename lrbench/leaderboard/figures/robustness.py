"""Figures of robustness: the worst case over attacks, and how small a perturbation fools."""

import numpy as np
from matplotlib.figure import Figure

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figures.style import legend_below, looks, panels
from lrbench.leaderboard.layout import ROBUST, WORST, labels
from lrbench.views import told_n


def worst_case(board: Leaderboard) -> Figure | None:
    """Robust accuracy in the worst case over attacks, and under each attack in a thin line, against the radius."""
    table = board.aggregated
    shares = table[table["metric"] == ROBUST]
    worst = shares[shares["attack"] == WORST]
    if worst.empty:
        return None
    scale = 255 if board.suite["threat_model"]["norm"] == "linf" else 1
    figure, (axes,) = panels(1, width=6.4, height=4.2)
    for model, look in looks(list(board.suite["models"])).items():
        for label in labels(board.suite):
            each = shares[(shares["model"] == model) & (shares["attack"] == label)].sort_values("eps")
            axes.plot(scale * each["eps"], 100 * each["value"], color=look.colour, alpha=0.25, linewidth=0.8)
        mine = worst[worst["model"] == model].sort_values("eps")
        axes.plot(scale * mine["eps"], 100 * mine["value"], label=board.labels[model], **look.options)
        axes.fill_between(scale * mine["eps"], 100 * mine["ci_low"], 100 * mine["ci_high"], color=look.colour,
                          alpha=0.15, linewidth=0)  # fmt: skip
    threat = board.suite["threat_model"]
    unit = "pixel range" if threat["space"] == "pixel" else "standard deviation"
    axes.set_xlabel(f"radius, in 1/255 of the {unit}" if scale == 255 else f"radius in L2, in units of the {unit}")
    axes.set_ylabel(f"robust accuracy, %{told_n(worst)}")
    axes.set_ylim(0, 102)
    figure.suptitle("Worst case over attacks (thin: each attack)", fontsize=11)
    legend_below(figure, axes)
    return figure


def smallest(sizes: dict[str, np.ndarray], board: Leaderboard) -> Figure | None:
    """Share of images for which no perturbation up to a given size was found that fools the model."""
    finite = [values[np.isfinite(values)] for values in sizes.values()]
    if not any(len(values) for values in finite):
        return None
    limit = max(float(np.quantile(values, 0.98)) for values in finite if len(values))
    figure, (axes,) = panels(1, width=6.4, height=4.2)
    for model, look in looks(list(board.suite["models"])).items():
        if model not in sizes:
            continue
        grid = np.linspace(0, max(limit, 1e-6), 200)
        shares = np.searchsorted(np.sort(sizes[model]), grid, side="right") / len(sizes[model])
        axes.plot(grid, 100 * (1 - shares), label=board.labels[model], markevery=20, **look.options)
    norm = {"linf": r"$\ell_\infty$", "l2": r"$\ell_2$"}[board.suite["threat_model"]["norm"]]
    axes.set_xlabel(f"size of the perturbation, {norm}")
    axes.set_ylabel(f"robust accuracy, %{told_n(board.aggregated[board.aggregated['metric'] == 'found'])}")
    axes.set_ylim(0, 102)
    axes.set_xlim(left=0)
    figure.suptitle("Images that withstand every perturbation found up to a size", fontsize=11)
    legend_below(figure, axes)
    return figure
