"""Figures of lines: variance ratios, misclassification, embeddings, training."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figures.style import Look, legend_below, looks, panels
from lrbench.views import matching, told_n

History = list[dict[str, Any]]


def variance_ratio(board: Leaderboard, layer: str) -> Figure | None:
    """VR_k against k (paper, figures 1 and 2), and what is left, 1 - VR_k, on a logarithmic scale."""
    curves = matching(board.results, {"layer": layer, "metric": "vr"})
    if curves.empty:
        return None
    curves = curves.assign(k=pd.to_numeric(curves["k"]))
    limit = (board.suite["diagnostics"].get("variance_ratio") or {}).get("curve", curves["k"].max())
    curves = curves[curves["k"] <= limit]
    figure, (held, left) = panels(2)
    for model, look in looks(list(board.suite["models"])).items():
        by_k = curves[curves["model"] == model].groupby("k")["value"]
        if not len(by_k):
            continue
        mean, low, high = by_k.mean(), by_k.min(), by_k.max()
        every = max(1, len(mean) // 10)
        held.plot(mean.index, mean, label=board.labels[model], markevery=every, **look.options)
        held.fill_between(mean.index, low, high, color=look.colour, alpha=0.15, linewidth=0)
        leakage = (1 - mean).clip(lower=1e-9)
        left.plot(mean.index, leakage, markevery=every, **look.options)
        left.fill_between(mean.index, (1 - high).clip(lower=1e-9), (1 - low).clip(lower=1e-9), color=look.colour,
                          alpha=0.15, linewidth=0)  # fmt: skip
    left.set_yscale("log")
    held.set_ylabel("variance ratio $VR_k$")
    left.set_ylabel("leakage $1 - VR_k$")
    for axes in (held, left):
        axes.set_xlabel("number of singular directions $k$")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(f"Variance of the activations of {layer}", fontsize=11)
    legend_below(figure, held)
    return figure


def misclassification(board: Leaderboard, attack: str) -> Figure | None:
    """Misclassification against L2 dissimilarity (paper, figure 5), with 95 % Wilson intervals."""
    table = board.aggregated
    attacked = table[table["attack"] == attack]
    clean = table[(table["attack"] == "") & (table["metric"] == "misclassification")]
    figure, (axes,) = panels(1, width=6.4, height=4.2)
    for model, look in looks(list(board.suite["models"])).items():
        mine = attacked[attacked["model"] == model]
        distance = mine[mine["metric"] == "l2_dissimilarity"].set_index("eps")["value"]
        error = mine[mine["metric"] == "misclassification"].set_index("eps")[["value", "ci_low", "ci_high"]]
        start = clean[clean["model"] == model][["value", "ci_low", "ci_high"]]
        if error.empty or start.empty or distance.empty:
            continue
        points = error.assign(l2=distance).sort_values("l2")
        shown = 100 * pd.concat([start, points[["value", "ci_low", "ci_high"]]], ignore_index=True)
        x = [0.0, *points["l2"]]
        axes.plot(x, shown["value"], label=board.labels[model], **look.options)
        axes.fill_between(x, shown["ci_low"], shown["ci_high"], color=look.colour, alpha=0.12, linewidth=0)
    if not axes.lines:
        return None
    for level in board.suite["threat_model"].get("l2", []):
        axes.axvline(level, color="#888888", linewidth=0.8, linestyle=":")
    axes.set_xlabel(r"mean L2 dissimilarity $\|x_{adv} - x\| / \|x\|$")
    axes.set_ylabel(f"misclassified (%){told_n(attacked[attacked['metric'] == 'misclassification'])}")
    axes.set_ylim(0, 102)
    axes.set_xlim(left=0)
    axes.set_title(f"{attack} as in the paper's figure 5, {board.suite['threat_model']['space']} space")
    legend_below(figure, axes)
    return figure


def embeddings(board: Leaderboard) -> Figure | None:
    """Accuracy of a linear classifier on PCA embeddings, by dimension (paper, tables 3 and 4)."""
    spec = board.suite["diagnostics"].get("embeddings")
    if not spec:
        return None
    dims = sorted(spec["dims"], key=lambda dim: float("inf") if dim == "full" else dim, reverse=True)
    figure, (axes,) = panels(1, width=6.4, height=4.0)
    series = looks(list(board.suite["models"]))
    for index, (model, look) in enumerate(series.items()):
        offset = 0.06 * (index - (len(series) - 1) / 2)
        _with_intervals(axes, board, model, look, dims, offset)
    if not axes.lines:
        return None
    axes.set_xticks(range(len(dims)), ["all" if dim == "full" else str(dim) for dim in dims])
    axes.set_xlabel(f"dimensions kept of {spec['layer']}")
    axes.set_ylabel(f"test accuracy (%){told_n(matching(board.aggregated, {'metric': 'embedding_accuracy'}))}")
    axes.set_title("Linear classifier on PCA embeddings")
    legend_below(figure, axes)
    return figure


def _with_intervals(axes: Any, board: Leaderboard, model: str, look: Look, dims: list[Any], offset: float) -> None:  # noqa: ANN401
    places, rows = [], []
    for place, dim in enumerate(dims):
        where = {"model": model, "metric": "embedding_accuracy", "dimensions": dim}
        found = matching(board.aggregated, where).to_dict("records")
        if found:
            places.append(place + offset)
            rows.append(found[0])
    if not rows:
        return
    values = [100 * row["value"] for row in rows]
    spans = [
        [100 * (row["value"] - row["ci_low"]) for row in rows],
        [100 * (row["ci_high"] - row["value"]) for row in rows],
    ]
    axes.errorbar(places, values, yerr=spans, label=board.labels[model], capsize=2, elinewidth=0.8, **look.options)


def training(histories: Mapping[tuple[str, int], History], labels: Mapping[str, str]) -> Figure | None:
    """Accuracy, loss and the LR-Layers' residual by epoch; thin lines are seeds, a ring marks LR-Layers going on.

    `labels` are the models' names as they are shown.
    """
    if not histories:
        return None
    layered = any(log["layers"] for history in histories.values() for log in history)
    figure, axes = panels(3 if layered else 2, width=4.2)
    for model, look in looks(list(labels)).items():
        runs = [history for (name, _), history in histories.items() if name == model]
        for number, history in enumerate(runs):
            _training_lines(axes, history, look, labels[model] if number == 0 else None)
    for panel, title in zip(axes, ("training accuracy (%)", "training loss", "LR-Layers' residual"), strict=False):
        panel.set_xlabel("epoch")
        panel.set_ylabel(title)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[1].set_yscale("log")
    figure.suptitle("Training (rings: LR-Layers are switched on)" if layered else "Training", fontsize=11)
    legend_below(figure, axes[0])
    return figure


def _training_lines(axes: list[Any], history: History, look: Look, label: str | None) -> None:
    epochs = [log["epoch"] for log in history]
    style = {"color": look.colour, "linestyle": look.line, "linewidth": 1.2}
    accuracy, loss = [100 * log["accuracy"] for log in history], [log["loss"] for log in history]
    axes[0].plot(epochs, accuracy, label=label, **style)
    axes[1].plot(epochs, loss, **style)
    first_on = next((index for index, log in enumerate(history) if log["lr_layers_on"] and log["layers"]), None)
    if first_on is None:
        return
    for panel, values in zip(axes, (accuracy, loss), strict=False):
        panel.plot(epochs[first_on], values[first_on], "o", markerfacecolor="none", markeredgecolor=look.colour)
    for name in history[0]["layers"]:
        residuals = [log["layers"][name]["residual"] for log in history[first_on:]]
        axes[2].plot(epochs[first_on:], residuals, **style)
        if name not in {text.get_text() for text in axes[2].texts}:
            axes[2].annotate(
                name, (epochs[-1], residuals[-1]), xytext=(3, 0), textcoords="offset points", fontsize=7, va="center"
            )
