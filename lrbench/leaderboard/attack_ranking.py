"""Attacks in order of what they were worth, over the models of one run or several."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from lrbench.errors import UsageError
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figure_text import MISSING, write_value
from lrbench.leaderboard.layout import labels, middle
from lrbench.leaderboard.ranking import PLACE
from lrbench.leaderboard.table import TextTable
from lrbench.leaderboard.worth import OPTIMALITY
from lrbench.leaderboard.worth_blocks import worth_block
from lrbench.store import as_path
from lrbench.views import Form

HEADINGS: dict[str, Form] = {
    "optimality %": "percent",
    "only one to fool, %": "percent",
    "forward passes": "number",
    "backward passes": "number",
    "ms": "milliseconds",
}


@dataclass
class _Attack:
    """An attack with its options: its figures on every model that it ran on, by heading."""

    label: str
    options: str
    figures: dict[str, list[float]] = field(default_factory=dict)

    def mean(self, heading: str) -> float | None:
        values = self.figures.get(heading)
        return fmean(values) if values else None

    @property
    def optimality(self) -> list[float]:
        return self.figures.get("optimality %", [])


def ranking(folders: Sequence[str]) -> list[TextTable]:
    """Put the attacks of runs or published boards in order of their mean optimality: a table for each threat model.

    Raises
    ------
    UsageError
        If a folder holds no results, or one in which no attack had another beside it, or no seed met all.
    """
    kinds: dict[tuple[str, str], dict[tuple[str, str], _Attack]] = {}
    models: dict[tuple[str, str], int] = {}
    radii: dict[tuple[str, str], dict[str, None]] = {}
    for folder in {str(as_path(each).resolve()): each for each in folders}.values():
        board = Leaderboard.load(folder)
        worth = board.results[board.results["metric"] == OPTIMALITY]
        if worth.empty:
            msg = (
                f"{folder} does not say what its attacks were worth: it has fewer than two, or no seed that met all of "
                "them, or is of an older lrbench"
            )
            raise UsageError(msg)
        threat = board.suite["threat_model"]["norm"], board.suite["threat_model"]["space"]
        models[threat] = models.get(threat, 0) + worth["model"].nunique()
        radii.setdefault(threat, {})[board.shown.radius(middle(board.suite))] = None
        _add(board, kinds.setdefault(threat, {}))
    return [_table(threat, [*attacks.values()], models[threat], [*radii[threat]]) for threat, attacks in kinds.items()]


def _add(board: Leaderboard, attacks: dict[tuple[str, str], _Attack]) -> None:
    block = worth_block(board.shown, labels(board.suite), middle(board.suite))
    specs = dict(zip(labels(board.suite), board.suite["attacks"], strict=True))
    for column in block.columns:
        label = next(label for label in specs if column.row == label or column.row.startswith(f"{label}, "))
        options = _options(specs[label], board.suite["threat_model"].get("budget"))
        attack = attacks.setdefault((label, options), _Attack(label, options))
        attack.figures.setdefault(column.heading, []).extend(cell.value for cell in column.cells.values())


def _options(spec: dict[str, Any], budget: int | None) -> str:
    """Write what sets an attack apart from others of its label; where it ran is no part of it."""
    given = {key: value for key, value in spec.items() if key not in {"label", "eps"}}
    return json.dumps(given | ({} if budget is None else {"budget": budget}), sort_keys=True)


def _table(threat: tuple[str, str], attacks: list[_Attack], models: int, radii: list[str]) -> TextTable:
    norm, space = threat
    there = [attack for attack in attacks if attack.optimality]
    ranked = sorted(there, key=lambda attack: -fmean(attack.optimality))
    twice = [attack.label for attack in ranked]
    rows = []
    for rank, attack in enumerate(ranked, 1):
        name = f"{attack.label} {attack.options}" if twice.count(attack.label) > 1 else attack.label
        means = [(attack.mean(heading), form) for heading, form in HEADINGS.items()]
        figures = [MISSING if value is None else write_value(value, form) for value, form in means]
        least = write_value(min(attack.optimality), "percent")
        cells = [name, str(rank), figures[0], least, *figures[1:], str(len(attack.optimality))]
        rows.append([[cell] for cell in cells])
    first, *others = HEADINGS
    headings = ["attack", PLACE, first, "lowest", *others, "models"]
    title = (
        f"Attacks by mean optimality over {models} model{'s' * (models > 1)}, {norm}, {space} space; optimality over "
        f"all radii of an attack, the other figures at {' or '.join(radii)}, or its largest"
    )
    return TextTable(title, [[heading] for heading in headings], rows)
