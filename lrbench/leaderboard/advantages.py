"""What becomes in the worst case of the advantage that a model has under the paper's attacks, in words."""

from collections.abc import Iterator
from typing import Any

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.layout import DIFFERENCES, PAPER, labels, middle
from lrbench.leaderboard.said import is_weak
from lrbench.names import WORST
from lrbench.statistics.difference import LEVEL
from lrbench.views import in_points, matching

POINT = 0.01


def advantages(board: Leaderboard) -> Iterator[str]:
    """Say of each model whether what it gains on the first one under the paper's attacks outlives the strong ones."""
    ran = set(labels(board.suite))
    if all(is_weak(attack["name"], board.status.attacks) for attack in board.suite["attacks"]):
        return
    baseline, *others = board.suite["models"]
    for model in others:
        for attack in PAPER:
            if attack in ran and (line := _advantage(board, model, baseline, attack)):
                yield line


def _advantage(board: Leaderboard, model: str, baseline: str, attack: str) -> str | None:
    """Compare at one radius, chosen before anything was measured: a radius chosen by the lead would find one."""
    errors = matching(board.aggregated, {"metric": "misclassification"})
    lead = _lead(errors, model, baseline, attack)
    worst = matching(board.aggregated, {"attack": WORST, "model": model})
    found = {metric: worst[worst["metric"] == metric].set_index("eps") for metric, *_ in DIFFERENCES}
    difference, adjusted = found.values()
    common = [eps for eps in lead if eps in difference.index]
    if not common:
        return None
    headline = middle(board.suite)
    eps = min(common, key=lambda radius: abs(radius - headline))
    kept, p = float(difference["value"][eps]), float(adjusted["value"][eps])
    where = board.shown.radius(eps)
    interval = f"[{in_points(difference['ci_low'][eps])}, {in_points(difference['ci_high'][eps])}]"
    figures = (
        f"{in_points(lead[eps])} points under {attack}, {in_points(kept)} {interval} in the worst case over attacks"
    )
    says = _outcome(lead[eps], kept, p)
    return f"Robust accuracy of {model} minus that of {baseline} at {where}: {figures} (adjusted p = {p:.2g}). {says}"


def _outcome(lead: float, kept: float, p: float) -> str:
    if lead <= 0:
        return "Under this attack it has no advantage."
    if lead <= POINT:
        return "Under this attack it leads by a point or less, which is held against nothing."
    if kept < 0.25 * lead:
        return "In the worst case the advantage is lost."
    if p >= LEVEL:
        return "In the worst case the advantage is within chance."
    return f"In the worst case the advantage {'shrinks' if kept < 0.75 * lead else 'stays'}, on this board."


def _lead(errors: Any, model: str, baseline: str, attack: str) -> dict[float, float]:  # noqa: ANN401
    own, other = (
        matching(errors, {"model": name, "attack": attack}).set_index("eps")["value"] for name in (model, baseline)
    )
    return {float(eps): float(other[eps] - own[eps]) for eps in own.index if eps in other.index}
