"""Tables as they are before they are written down: cells, columns, and where n is shown."""

from collections.abc import Hashable, Iterable, Iterator
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
    clean : float, optional
        Of a robust accuracy: the accuracy on the same images without an attack.
    """

    value: float
    sd: float
    interval: tuple[float, float] | None
    n: int | None
    seeds: int | None = None
    planned: int | None = None
    clean: float | None = None

    @property
    def whole(self) -> bool:
        """Whether no seed is missing."""
        return self.seeds is None or self.planned is None or self.seeds >= self.planned


@dataclass(frozen=True)
class Column:
    """A figure of every model: `key` in files, `heading` for readers, its form, and where its n is shown.

    `row` is which of a model's rows it stands in, in a block that has several. A `passing` figure is no other run's:
    readers see it, and files by which runs are compared do not hold it.
    """

    key: str
    heading: str
    form: Form
    cells: dict[str, Cell]
    counted: Literal["title", "heading", "cells"] = "title"
    row: str = ""
    passing: bool = False

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
    """One table: its title and the columns beside the model's name.

    With `by`, such as "attack", a model has a row for each; columns with the same heading are then one.
    """

    title: str
    columns: list[Column]
    by: str = ""

    @property
    def lasting(self) -> "Block":
        """Without what is passing."""
        return replace(self, columns=[column for column in self.columns if not column.passing])

    @property
    def headings(self) -> list[Column]:
        """One column for each heading, in order."""
        found: dict[str, Column] = {}
        for column in self.columns:
            found.setdefault(column.heading if self.by else column.key, column)
        return list(found.values())

    def rows(self, models: Iterable[str]) -> Iterator[tuple[str, list[str], list[Column]]]:
        """Give of each row its model, the words beside it, and the columns to take its cells from."""
        for model in models:
            for row in dict.fromkeys(column.row for column in self.columns):
                of = {column.heading: column for column in self.columns if column.row == row}
                nothing = [replace(column, cells={}) for column in self.headings]
                columns = [of.get(column.heading, column) for column in nothing] if self.by else self.columns
                if not self.by or any(model in column.cells for column in columns):
                    yield model, [row] if self.by else [], columns


def with_n(block: Block) -> Block:
    """Show n in the title where it is one, else in the headings, and in the cells of a column that mixes several."""
    every = set[int]().union(*(column.counts for column in block.columns))
    if not every:
        return block
    if len(every) == 1:
        return replace(block, title=f"{block.title}, n = {every.pop():,}")
    columns = [
        replace(column, counted="cells" if block.by or len(column.counts) > 1 else "heading")
        for column in block.columns
    ]
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
