"""The chart of training: accuracy, loss, and what LR-Layers leave of the activations, by epoch."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from lrbench.views import Shown
from lrbench.views.charts import Axis, Chart, Panel

History = list[dict[str, Any]]


def training(shown: Shown, histories: Mapping[tuple[str, int], History]) -> Iterator[Chart]:
    """Give a line for each seed; rings are where LR-Layers are switched on."""
    rows = pd.DataFrame(row for (model, seed), history in histories.items() for row in _rows(model, seed, history))
    if rows.empty:
        return
    epoch = Axis("epoch", "epoch", "whole")
    panels = [
        Panel(rows, epoch, Axis("accuracy", "training accuracy, %"), "line"),
        Panel(rows, epoch, Axis("loss", "training loss", scale="log"), "line"),
    ]
    layers = list(dict.fromkeys(name for history in histories.values() for log in history for name in log["layers"]))
    for layer in layers:
        left = rows[rows["on"]].assign(residual=[of.get(layer) for of in rows.loc[rows["on"], "residuals"]], ring=False)
        y = Axis("residual", f"LR-Layer's residual, {layer}")
        panels.append(Panel(left.dropna(subset=["residual"]), epoch, y, "line"))
    caption = "A line for each seed." + (" Rings: LR-Layers are switched on." if layers else "")
    yield Chart("training", "Training", caption, panels, shown.labels)


def _rows(model: str, seed: int, history: History) -> Iterator[dict[str, Any]]:
    on = [bool(log["lr_layers_on"] and log["layers"]) for log in history]
    first = on.index(True) if True in on else len(history)
    for index, log in enumerate(history):
        yield {
            "model": model,
            "line": str(seed),
            "epoch": log["epoch"],
            "accuracy": 100 * log["accuracy"],
            "loss": log["loss"],
            "ring": index == first,
            "on": index >= first,
            "residuals": {name: of["residual"] for name, of in log["layers"].items()},
        }
