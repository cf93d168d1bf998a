"""Reading what a run's folder says of itself."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from lrbench.columns import COLUMNS, TEXT
from lrbench.errors import UsageError
from lrbench.files import is_file
from lrbench.leaderboard.kept import RECORDS
from lrbench.renamed import renamed_row
from lrbench.views import tidy
from lrbench.views.rows import records

NUMBER = re.compile(r"[+-]?(inf|\d{1,30}(\.\d{0,30})?|\.\d{1,30})(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def read_table(path: Path) -> pd.DataFrame:
    """Read `results.csv` or `timings.csv`; ValueError for other columns.

    Figures are given the names that they have now, whichever version of lrbench wrote the file.
    """
    content = path.read_bytes()
    names = pd.read_csv(io.BytesIO(content), nrows=0).columns
    if tuple(names[: len(COLUMNS)]) != COLUMNS:
        msg = f"{path.name} must begin with the columns {', '.join(COLUMNS)}"
        raise ValueError(msg)
    parameters = names[len(COLUMNS) :]
    types = {"seed": "Int64", "n": "Int64"} | dict.fromkeys([*TEXT, *parameters], str)
    # A class may be called None, and a layer NA: only a number can be missing.
    missing = {name: [""] for name in COLUMNS if name not in TEXT}
    # By itself pandas < 3.1 reads some numbers as their neighbours.
    numbers = [name for name in COLUMNS if name not in types]
    types |= dict.fromkeys(numbers, str)
    table = pd.read_csv(io.BytesIO(content), dtype=types, keep_default_na=False, na_values=missing)
    table = table.assign(**{name: table[name].map(_number, na_action="ignore").astype(float) for name in numbers})
    return tidy(renamed_row(row) for row in records(table))


def _number(text: str) -> float:
    if not NUMBER.fullmatch(text):
        msg = f"not a number: {text:.40}"
        raise ValueError(msg)
    return float(text)


def optional_json(path: Path) -> dict[str, Any]:
    """Read a file of JSON; empty where there is none."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return content


def without_tables(folder: Path) -> UsageError:
    """Say what a folder without `results.csv` is."""
    if is_file(folder / "suite.yaml"):
        resumes = f"what began it, such as `lrbench run SUITE --out {folder}`, resumes it"
        msg = f"{folder} has no tables yet: its run was cut off; {resumes}"
    elif board := next((path.parent for path in sorted(folder.glob(f"*/{RECORDS}"))), None):
        msg = f"{folder} holds published boards; name one, such as {board}, or all to `publish` by `--to {folder}`"
    else:
        msg = f"no results in {folder}; name the folder of a run, such as runs/quick (`lrbench run` makes one)"
    return UsageError(msg)
