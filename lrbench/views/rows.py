"""Rows of a tidy table, found by their metric without looking through all of them."""

from collections.abc import Hashable, Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lrbench.columns import COLUMNS, as_text

Row = dict[Hashable, Any]


def records(table: pd.DataFrame) -> list[Row]:
    """Give the rows of a table as dictionaries, as `to_dict("records")` does in several times as long."""
    return [dict(zip(table.columns, row, strict=True)) for row in zip(*map(_listed, table.items()), strict=True)]


def _listed(named: tuple[Hashable, "pd.Series[Any]"]) -> list[Any]:
    _, column = named
    if isinstance(column.dtype, np.dtype):
        return list(column.tolist())
    return [None if value is pd.NA else value for value in column.to_numpy(object).tolist()]


def fewest(rows: Iterable[Row]) -> Any:  # noqa: ANN401
    """Give the smallest n of some rows, those left out that name none; NA where none does."""
    return min((row["n"] for row in rows if not pd.isna(row["n"])), default=pd.NA)


class Rows:
    """A table of which many figures are asked for, one after the other.

    Parameters
    ----------
    table : DataFrame
        Tidy; it is not changed afterwards.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @cached_property
    def _by_metric(self) -> dict[str, list[tuple[int, Row]]]:
        found: dict[str, list[tuple[int, Row]]] = {}
        for place, row in enumerate(records(self.table)):
            found.setdefault(row["metric"], []).append((place, row))
        return found

    def _found(self, metric: str, where: Mapping[str, object]) -> list[tuple[int, Row]]:
        rows = self._by_metric.get(metric, [])
        for name, value in where.items():
            if name not in self.table:
                return []
            wanted = value if name in COLUMNS else as_text(value)
            # Nothing is equal to what is missing.
            rows = [(place, row) for place, row in rows if wanted is not None and row[name] == wanted]
        return rows

    def records(self, metric: str, where: Mapping[str, object]) -> list[Row]:
        """Give the rows of a metric that have the given values, as dictionaries; none where a column lacks."""
        return [row for _, row in self._found(metric, where)]

    def frame(self, metric: str, where: Mapping[str, object]) -> pd.DataFrame:
        """Give them as a table."""
        return self.table.iloc[[place for place, _ in self._found(metric, where)]]
