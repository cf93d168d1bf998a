"""What a leaderboard says wherever it is shown, since its first table alone would mislead."""

from collections.abc import Iterator
from typing import Any

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figure_text import MISSING
from lrbench.leaderboard.met import attacks_of, only_weak, weak_at_the_headline, without_gradients
from lrbench.leaderboard.said import class_of, other_than_standard
from lrbench.verdicts import VERDICTS

SAME = ("id", "severity", "condition", "explanation", "advice")
"""What a check says of itself; seeds that different versions checked are told apart."""


def warnings(board: Leaderboard) -> list[str]:
    """Give those of the lines without which the first table misleads, each once."""
    cautions = (line for model in board.models for line in board.cautions(model))
    met = (*without_gradients(board), *weak_at_the_headline(board), *only_weak(board))
    return [*dict.fromkeys([*cautions, *met, *not_standard(board), *flags(board)])]


def not_standard(board: Leaderboard) -> Iterator[str]:
    """Say in what an attack is not what its name stands for in the field."""
    for label, attack in attacks_of(board).items():
        if changed := other_than_standard(attack):
            changes = ", ".join(f"{key} {value}" for key, value in changed.items())
            yield (
                f"{label} is not the standard version of {class_of(attack['name'])} here: {changes}. Do not compare "
                "its figures with those of the standard version."
            )


def flags(board: Leaderboard) -> Iterator[str]:
    """Say why each verdict that is not *held up* is not."""
    for model in board.models:
        flagged: dict[tuple[Any, ...], dict[str, float | None]] = {}
        for seed, checked in board.masking.get(model, {}).items():
            for each in checked["checks"]:
                if each["flagged"] is True:
                    flagged.setdefault(tuple(each[key] for key in SAME), {})[seed] = each["figure"]
        for (name, severity, condition, explanation, advice), found in flagged.items():
            yield (
                f"{model}, seed{'s' * (len(found) > 1)} {', '.join(found)}: {name} ({severity}), "
                f"{_figures([*found.values()])}: {condition}. {explanation} {advice}"
            )
        said = {(seed, severity) for (_, severity, *_), found in flagged.items() for seed in found}
        for verdict, seeds in _verdicts(board, model).items():
            if unknown := [seed for seed in seeds if (seed, verdict) not in said]:
                where = f"seed{'s' * (len(unknown) > 1)} {', '.join(unknown)}"
                yield f"{model}, {where}: {verdict}, and which checks say so is not known; run its suite again."


def _verdicts(board: Leaderboard, model: str) -> dict[str, list[str]]:
    """Give the seeds of each verdict on the model that is not *held up*."""
    rows = board.results[(board.results["metric"] == "verdict") & (board.results["model"] == model)]
    found: dict[str, list[str]] = {}
    for seed, value in rows[rows["value"] > 0][["seed", "value"]].itertuples(index=False, name=None):
        found.setdefault(VERDICTS[int(value)], []).append(str(seed))
    return found


def _figures(values: list[float | None]) -> str:
    """Write a check's figure for each seed; once where all are the same."""
    written = [MISSING if value is None else f"{value:.3g}" for value in values]
    return written[0] if len(set(written)) == 1 else ", ".join(written)
