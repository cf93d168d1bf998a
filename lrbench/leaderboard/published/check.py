"""Hold published leaderboards against their records: every page and table is made again and compared."""

import math
import re
from pathlib import Path

from lrbench.errors import UsageError
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.kept import Content
from lrbench.leaderboard.published.files import FIGURES, MANIFEST, index, manifest, record_path, tables
from lrbench.leaderboard.published.read import board_folders, sound_records
from lrbench.leaderboard.published.record import board_of
from lrbench.leaderboard.published.weights import published_files
from lrbench.store.flock import LOCK, OWNER

TOLERANCE = 1e-8
"""By how much, relatively, a float of a table may differ: SciPy's last digits are not those of every other version."""

_SEPARATOR = re.compile(rb"([,\r\n])")


def check(to: Path) -> int:
    """Hold every published record against itself, and everything else in the folder against them; give their number.

    Raises
    ------
    UsageError
        With the first file that is not as this version of lrbench writes it from the records, byte for byte but for
        floats in tables (`TOLERANCE`), is missing, or belongs to no board; if there is no such folder, or nothing
        is published in it.
    """
    if not to.is_dir():
        msg = f"{to} is no folder"
        raise UsageError(msg)
    if (to / OWNER).exists():
        msg = f"{to} is being published to, or that was cut off: check again later; {_remedy(to)}"
        raise UsageError(msg)
    folders = board_folders(to)
    if not folders:
        msg = f"no published leaderboards in {to}"
        raise UsageError(msg)
    # What takes no time comes first: pages are made only of what is whole.
    boards = {folder: sound_records(folder) for folder in folders}
    pictures = {folder: _pictures(to, folder) for folder in folders}
    shown: dict[str, tuple[Leaderboard, list[Content]]] = {}
    known = {record_path(folder, record["model"]) for folder, records in boards.items() for record in records}
    count = len(known)
    for folder, records in boards.items():
        known |= {path for record in records for path in published_files(folder, record)}
        board = board_of(records)
        shown[folder.name] = board, records
        made = tables(board, records, pictures[folder])
        for name, content in made.items():
            _require(to, folder / name, content)
        known |= {folder / name for name in made}
        known |= {folder / FIGURES / name for name in (*pictures[folder], MANIFEST)}
    for name, content in index(shown).items():
        _require(to, to / name, content)
        known.add(to / name)
    _require_nothing_else(to, known)
    return count


def _pictures(to: Path, folder: Path) -> list[str]:
    """Give the names of a board's pictures, each of which is held against its checksum."""
    there = {
        path.name: path.read_bytes()
        for path in sorted((folder / FIGURES).glob("*"))
        if path.suffix in {".png", ".svg"} and path.is_file()
    }
    if not there:
        return []
    path, content = folder / FIGURES / MANIFEST, manifest(there)
    written = path.read_bytes() if path.is_file() else b""
    if written and written != content:
        lines = set(content.splitlines()) ^ set(written.splitlines())
        changed = min((line.decode(errors="replace")[66:] for line in lines), default=MANIFEST)
        msg = f"{path.parent / changed} is not the picture that was drawn ({MANIFEST}); {_remedy(to)}"
        raise UsageError(msg)
    _require(to, path, content)
    return [*there]


def _require(to: Path, path: Path, content: bytes) -> None:
    if not path.is_file():
        msg = f"{path} is missing; {_remedy(to)}"
        raise UsageError(msg)
    written = path.read_bytes()
    if written != content and not (path.suffix == ".csv" and _same_table(written, content)):
        msg = f"{path} is not what the records say; {_remedy(to)}"
        raise UsageError(msg)


def _same_table(written: bytes, content: bytes) -> bool:
    ours, theirs = _SEPARATOR.split(content), _SEPARATOR.split(written)
    return len(ours) == len(theirs) and all(a == b or _same_float(a, b) for a, b in zip(ours, theirs, strict=True))


def _same_float(one: bytes, other: bytes) -> bool:
    """Compare what is written as tables write floats: counts, seeds and names are not."""
    try:
        a, b = float(one), float(other)
    except ValueError:
        return False
    return (repr(a).encode(), repr(b).encode()) == (one, other) and math.isclose(a, b, rel_tol=TOLERANCE)


def _require_nothing_else(to: Path, known: set[Path]) -> None:
    folders = {parent for path in known for parent in path.parents}
    for path in sorted(to.rglob("*")):
        if path not in known and path not in folders and path != to / LOCK:
            msg = f"{path} is no part of a published leaderboard; remove it"
            raise UsageError(msg)


def _remedy(to: Path) -> str:
    return f"`lrbench publish --rebuild --to {to}` makes everything again from the records"
