"""Tables as they are before they are written down: cells, columns, and where n is shown."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

Form = Literal["percent", "points", "number", "count", "milliseconds", "verdict", "rank"]
"""How readers see a figure: a share as %, a difference of shares in points, four digits, a large count as 11.2 M,
seconds as ms, a verdict by its name, or a rank."""


@dataclass(frozen=True)
class Cell:
    """A figure of one model over seeds.

    Attributes
    ----------
    value, sd : float
    interval : (float, float), optional
    n : int, optional
        Images behind it; with several seeds, the fewest.
    seeds, planned : int, optional
        Seeds behind it, and those of the suite.
    """

    value: float
    sd: float
    interval: tuple[float, float] | None
    n: int | None
    seeds: int | None = None
    planned: int | None = None

    @property
    def whole(self) -> bool:
        """Whether no seed is missing."""
        return self.seeds is None or self.planned is None or self.seeds >= self.planned


@dataclass(frozen=True)
class Column:
    """A figure of every model: `key` in files, `heading` for readers, its form, and where its n is shown."""

    key: str
    heading: str
    form: Form
    cells: dict[str, Cell]
    counted: Literal["title", "heading", "cells"] = "title"

    @property
    def counts(self) -> set[int]:
        """How many images there are behind its cells; none where no images are counted."""
        return {cell.n for cell in self.cells.values() if cell.n is not None}

    @property
    def images(self) -> str:
        """What its heading says of n; empty where the table's title or the cells say it."""
        return f"n = {next(iter(self.counts)):,}" if self.counted == "heading" and self.counts else ""


@dataclass(frozen=True)
class Block:
    """One table: its title and the columns beside the model's name."""

    title: str
    columns: list[Column]


def with_n(block: Block) -> Block:
    """Show n in the title where it is one, else in the headings, and in the cells of a column that mixes several."""
    every = set[int]().union(*(column.counts for column in block.columns))
    if not every:
        return block
    if len(every) == 1:
        return replace(block, title=f"{block.title}, n = {every.pop():,}")
    columns = [replace(column, counted="cells" if len(column.counts) > 1 else "heading") for column in block.columns]
    return replace(block, columns=columns)


def n_suffix(table: pd.DataFrame) -> str:
    """Say how many images there are behind the rows of a table; empty where none are counted."""
    counts = sorted({int(n) for n in table["n"].dropna()})
    if not counts:
        return ""
    return f", n = {counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else "")


def cell_of(row: dict[Hashable, Any], planned: int | None = None) -> Cell:
    """Make a cell of a row of the aggregated table; `planned` is the number of seeds that it should have."""
    interval = None if pd.isna(row["ci_low"]) else (float(row["ci_low"]), float(row["ci_high"]))
    # What is measured over all seeds together names none.
    seeds = int(row["seeds"]) or None
    n = None if pd.isna(row["n"]) else int(row["n"])
    return Cell(float(row["value"]), float(row["sd"]), interval, n, seeds, planned)
