"""A panel's table as the rows that its drawing holds."""

import math
from typing import Any

import pandas as pd

from lrbench.leaderboard.drawing.words import key_of
from lrbench.views.charts import Panel

Row = dict[str, Any]

MODEL = "model"
"""Column whose models a page shows or hides."""

OPTIONAL = ("low", "high", "n", "line", "ring")

MARKED = 10
"""Markers on a line, about: enough to tell it by, and not so many that they hide it."""

DIGITS = 6


def rows_of(panel: Panel, table: pd.DataFrame, by: str) -> list[Row]:
    """Give the rows of a table that have a place in the panel, under names that no table chooses.

    `series`, `x`, `y`, and where the table has them `low`, `high`, `n`, `line`, `ring` and, if the colour stands for
    something else, `model`; `marked` is where a line has a marker.
    """
    kept = {"series": by, "x": panel.x.column, "y": panel.y.column}
    kept |= {name: name for name in OPTIONAL if name in table and table[name].notna().any()}
    if by != MODEL and MODEL in table:
        kept[MODEL] = MODEL
    content = {name: table[column].tolist() for name, column in kept.items()}
    for name in ("series", *(way for way, axis in (("x", panel.x), ("y", panel.y)) if axis.kind == "category")):
        content[name] = [key_of(each) for each in content[name]]
    rows = [dict(zip(content, map(_plain, values), strict=True)) for values in zip(*content.values(), strict=True)]
    return _marked([row for row in rows if None not in (row["x"], row["y"])])


def _plain(value: Any) -> str | float | bool | None:  # noqa: ANN401
    if isinstance(value, str | bool) or value is None:
        return value
    if pd.isna(value) or math.isinf(value):
        return None
    return int(value) if float(value).is_integer() else float(f"{value:.{DIGITS}g}")


def _marked(rows: list[Row]) -> list[Row]:
    """Mark every so manyeth row of each line."""
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        lines.setdefault((row["series"], row.get("line", "")), []).append(row)
    for line in lines.values():
        every = max(1, len(line) // MARKED)
        for index, row in enumerate(line):
            row["marked"] = index % every == 0
    return rows
