"""Reading what a run's folder says of itself."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd

from lrbench.leaderboard.results import COLUMNS, TEXT


def read_table(path: Path) -> pd.DataFrame:
    """Read `results.csv` or `timings.csv`; ValueError for other columns."""
    types = {"seed": "Int64", "n": "Int64"} | dict.fromkeys(TEXT, str)
    table = pd.read_csv(io.BytesIO(path.read_bytes()), dtype=types)
    if tuple(table.columns) != COLUMNS:
        msg = f"{path.name} must have the columns {', '.join(COLUMNS)}"
        raise ValueError(msg)
    table[list(TEXT)] = table[list(TEXT)].fillna("")
    return table


def optional_json(path: Path) -> dict[str, Any]:
    """Read a file of JSON; empty where there is none."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return content
