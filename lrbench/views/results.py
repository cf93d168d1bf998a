"""The tidy table of results: one row a measurement."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lrbench.columns import COLUMNS, TEXT, as_text


def tidy(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table with `COLUMNS` in order; absent texts are empty, absent numbers NaN, absent seeds and n NA.

    Whatever else rows name is a parameter of their figure, such as the k of VR_k: a column of text behind the others,
    by name, empty where a figure has none such. A row without a seed is over all of them.
    """
    listed = list(rows)
    parameters = sorted({name for row in listed for name in row if name not in COLUMNS})
    columns: dict[str, Any] = {}
    for name in (*COLUMNS, *parameters):
        values = [row.get(name) for row in listed]
        if name in TEXT or name in parameters:
            columns[name] = pd.Series(["" if _lacks(each) else as_text(each) for each in values], dtype=str)
        else:
            columns[name] = pd.to_numeric(pd.Series(values, dtype=None if values else float))
    return pd.DataFrame(columns).astype({"seed": "Int64", "n": "Int64"})


def _lacks(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float | np.floating) and math.isnan(value))


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put tidy tables below one another; parameters that one lacks are empty there."""
    table = pd.concat(list(tables), ignore_index=True)
    parameters = sorted(parameters_of(table))
    table[parameters] = table[parameters].fillna("")
    return table[[*COLUMNS, *parameters]]


def parameters_of(table: pd.DataFrame) -> list[str]:
    """Names of the columns that hold parameters of figures."""
    return [name for name in table.columns if name not in COLUMNS and name not in {"sd", "seeds"}]


def matching(table: pd.DataFrame, where: Mapping[str, object]) -> pd.DataFrame:
    """Rows of a table that have the given values; none where it lacks a column."""
    for name, value in where.items():
        if name not in table:
            return table.iloc[:0]
        table = table[table[name] == (value if name in COLUMNS else as_text(value))]
    return table
