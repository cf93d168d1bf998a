"""Hold published leaderboards against their records: every page and table is made again and compared, byte for byte."""

from pathlib import Path

from lrbench.errors import UsageError
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.published.files import FIGURES, MANIFEST, index, manifest, record_place, tables
from lrbench.leaderboard.published.read import places_of, sound_records
from lrbench.leaderboard.published.record import board_of
from lrbench.store.flock import LOCK, OWNER


def check(to: Path) -> int:
    """Hold every published record against itself, and everything else in the folder against them; give their number.

    Raises
    ------
    UsageError
        With the first file that is not as this version of lrbench writes it from the records, is missing, or belongs
        to no board; if there is no such folder, or nothing is published in it.
    """
    if not to.is_dir():
        msg = f"{to} is no folder"
        raise UsageError(msg)
    if (to / OWNER).exists():
        msg = f"{to} is being published to, or that was cut off: check again later; {_remedy(to)}"
        raise UsageError(msg)
    places = places_of(to)
    if not places:
        msg = f"no published leaderboards in {to}"
        raise UsageError(msg)
    boards: dict[str, Leaderboard] = {}
    made: dict[Path, bytes] = {}
    held: set[Path] = set()
    for place in places:
        records, pictures = sound_records(place), _pictures(place)
        held |= {record_place(place, record["model"]) for record in records}
        board = boards[place.name] = board_of(records)
        made |= {place / name: content for name, content in tables(board, records, pictures).items()}
        if pictures:
            made[place / FIGURES / MANIFEST] = manifest(pictures)
    made |= {to / name: content for name, content in index(boards).items()}
    _require_as_made(to, made)
    pictured = {place / FIGURES / name for place in places for name in _pictures(place)}
    _require_nothing_else(to, {*made, *held, *pictured})
    return len(held)


def _pictures(place: Path) -> dict[str, bytes]:
    """Read a board's pictures. What else lies there is in no manifest, and no picture stands for it."""
    return {
        path.name: path.read_bytes()
        for path in sorted((place / FIGURES).glob("*"))
        if path.suffix in {".png", ".svg"} and path.is_file()
    }


def _require_as_made(to: Path, made: dict[Path, bytes]) -> None:
    for path, content in made.items():
        if not path.is_file():
            msg = f"{path} is missing; {_remedy(to)}"
            raise UsageError(msg)
        if path.read_bytes() != content:
            raise UsageError(_differs(to, path, content))


def _require_nothing_else(to: Path, known: set[Path]) -> None:
    folders = {parent for path in known for parent in path.parents}
    for path in sorted(to.rglob("*")):
        if path not in known and path not in folders and path != to / LOCK:
            msg = f"{path} is no part of a published leaderboard; remove it"
            raise UsageError(msg)


def _differs(to: Path, path: Path, content: bytes) -> str:
    if path.name != MANIFEST:
        return f"{path} is not what the records say; {_remedy(to)}"
    lines = set(content.splitlines()) ^ set(path.read_bytes().splitlines())
    changed = min((line.decode(errors="replace")[66:] for line in lines), default=MANIFEST)
    return f"{path.parent / changed} is not the picture that was drawn ({MANIFEST}); {_remedy(to)}"


def _remedy(to: Path) -> str:
    return f"`lrbench publish --rebuild --to {to}` makes everything again from the records"
