"""What a leaderboard says of images that were attacked until there were enough: how many, and what that saved."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.layout import ROBUST
from lrbench.names import WORST
from lrbench.views import matching

DIFFERENCE = "robust_accuracy_difference"
NEARLY = 1e-9


def fixed(board: Leaderboard) -> bool:
    """Whether the number of images was given."""
    return not isinstance(board.suite["threat_model"].get("samples"), dict)


def known_to(samples: dict[str, Any]) -> str:
    """Say how closely a suite wants what to be known."""
    what = "robust accuracy" if samples["of"] == "accuracy" else "its difference from that of the first model"
    return f"{what} in the worst case to ±{samples['until']:g} point{'s' * (samples['until'] != 1)} at every radius"


def stopped(board: Leaderboard) -> Iterator[str]:
    """Say how many images each model took, of how many, and what is less known than was asked."""
    if fixed(board):
        return
    samples = board.suite["threat_model"]["samples"]
    worst = matching(board.aggregated, {"metric": ROBUST, "attack": WORST})
    accuracy = matching(board.aggregated, {"metric": "accuracy"})
    if worst.empty or accuracy.empty:
        return
    most = samples["most"] or int(accuracy["n"].max())
    taken = {model: int(rows["n"].min()) for model, rows in worst.groupby("model", sort=False)}
    listed = ", ".join(f"{board.labels[str(model)]} {n:,}" for model, n in taken.items())
    share = 100 * (1 - sum(taken.values()) / (most * len(taken)))
    yield (
        f"Sample size: images were attacked in a fixed random order until they showed {known_to(samples)}: {listed} of "
        f"{most:,}, in all {share:.0f} % fewer. The intervals allow for that."
    )
    asked = worst if samples["of"] == "accuracy" else matching(board.aggregated, {"metric": DIFFERENCE})
    for model, rows in asked[asked["n"] == most].groupby("model", sort=False):
        yield from _wide(board, str(model), rows, samples["until"])


def _wide(board: Leaderboard, model: str, rows: pd.DataFrame, until: float) -> Iterator[str]:
    reach, eps = max((50 * (row["ci_high"] - row["ci_low"]), row["eps"]) for row in rows.to_dict("records"))
    if reach > until + NEARLY:
        at = board.shown.radius(eps)
        yield f"NOT AS CLOSELY as asked: {board.labels[model]}, ±{reach:.2g} points at {at} with all images."
