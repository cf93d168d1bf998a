"""Who stands where: by figures that are shown, as they are shown. What is missing ranks last, and equal is equal."""

from collections.abc import Sequence

from lrbench.leaderboard.figure_text import verdict_shown, write_value
from lrbench.verdicts import RANKED
from lrbench.views import Cell, Column

PLACE = "place"
"""What readers see above ranks: among low-rank networks they would be taken for the rank of a layer."""


def rank_column(columns: Sequence[Column], models: Sequence[str]) -> Column:
    """Give the column of ranks, by the first of `columns`, where that is equal by the next, and so on.

    Equal figures are equal ranks, and leave a gap behind them (1, 1, 3). A figure is compared as readers see it, with
    the digits that are shown. One that lacks seeds stands behind those that lack none, and a missing one behind all.
    """
    keys = {model: [_rank_key(column, model) for column in columns] for model in models}
    ranks = {model: 1 + sum(other < key for other in keys.values()) for model, key in keys.items()}
    return Column("rank", PLACE, "rank", {model: Cell(rank, float("nan"), None, None) for model, rank in ranks.items()})


def _rank_key(column: Column, model: str) -> tuple[int, float]:
    cell = column.cells.get(model)
    if column.form == "verdict":
        return RANKED.index(verdict_shown(cell)), 0.0 if cell is None or cell.whole else 1.0
    if cell is None:
        return 2, 0.0
    return (0 if cell.whole else 1), -float(write_value(cell.value, column.form))
