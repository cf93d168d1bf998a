"""What stands in the folder of a published board beside its records, all of it made of them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import yaml

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.kept import RECORDS, Content, as_written
from lrbench.leaderboard.published.page import index_page, suite_page
from lrbench.leaderboard.published.record import suite_of
from lrbench.names import in_path

FIGURES = "figures"
MANIFEST = "SHA256SUMS"
"""Checksums of the pictures, as `sha256sum --check` reads them. How a picture comes out depends on the versions of
vl-convert, so that it cannot be held against one that is drawn again elsewhere."""

MASKING = "masking.json"
"""Only where something was checked."""

COSTS = "timings.csv"
"""Only where records say what attacks cost. Times by the clock are in no record."""


def record_path(folder: Path, model: str) -> Path:
    """Give the file of a model's record in a board's folder."""
    return folder / RECORDS / f"{in_path(model)}.json"


def tables(board: Leaderboard, records: list[Content], pictures: Iterable[str]) -> dict[str, bytes]:
    """Give every table and page of a board, by its name: all but the records and the pictures, whose names it takes."""
    shown = [name for name in pictures if name.endswith(".svg")]
    content = {
        "results.csv": board.results_csv(),
        "leaderboard.csv": board.to_csv(),
        "status.json": board.status.write(),
        "suite.yaml": yaml.safe_dump(suite_of(records), sort_keys=False, allow_unicode=True),
        "README.md": suite_page(board, records, shown),
    }
    masking = {MASKING: as_written(board.masking)} if board.masking else {}
    costs = {COSTS: board.timings_csv().encode()} if board.timings_csv() else {}
    return {name: text.encode() for name, text in content.items()} | masking | costs


def index(boards: dict[str, tuple[Leaderboard, list[Content]]]) -> dict[str, bytes]:
    """Give the pages over all boards, each with its records, by their names."""
    html, markdown = index_page(boards)
    return {"index.html": html.encode(), "README.md": markdown.encode()}


def manifest(pictures: dict[str, bytes]) -> bytes:
    """Write the checksums of pictures, given by their names."""
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(pictures.items()))
    return "".join(lines).encode()
