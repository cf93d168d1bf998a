"""The tidy table of results: one row a measurement."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from lrbench.columns import COLUMNS, TEXT, as_text


def tidy(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table with `COLUMNS` in order; absent texts are empty, absent numbers NaN, absent seeds and n NA.

    Whatever else rows name is a parameter of their figure, such as the k of VR_k: a column of text behind the others,
    by name, empty where a figure has none such. A row without a seed is over all of them.
    """
    listed = list(rows)
    parameters = sorted({name for row in listed for name in row if name not in COLUMNS})
    table = pd.DataFrame(listed).reindex(columns=[*COLUMNS, *parameters])
    for column in table:
        if column in TEXT or column in parameters:
            table[column] = table[column].astype(object).where(table[column].notna(), "").map(as_text).astype(str)
        else:
            table[column] = pd.to_numeric(table[column])
    return table.astype({"seed": "Int64", "n": "Int64"})


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
