"""Whether published figures are what a plan would find: the keys of their steps held against those of the plan's."""

from collections.abc import Iterator
from pathlib import Path

from lrbench.errors import UsageError, nearest, printable, some
from lrbench.leaderboard.kept import RECORDS, environments_of
from lrbench.leaderboard.published.read import board_folders, sound_records
from lrbench.names import in_path, whole_of

Versions = dict[str, str | None]

INERT = {"lrbench", "pandas"}
"""Of the packages that records name: what is in no key. Of lrbench it is the code that is."""


class PublishedState:
    """A published board, held against a plan of its suite.

    Parameters
    ----------
    to : Path
        Folder of published boards.
    suite : str
        Name of the plan's suite, which is its board's.
    wanted : dict of str to str
        Id of each step of the plan -> its key: the hash of all that determines its result.

    Attributes
    ----------
    same : dict of str to bool
        Id of each published step of the plan whose key is known -> whether it is the plan's.

    Raises
    ------
    UsageError
        If there is no such board, or a record of it is not as it was written.
    """

    def __init__(self, to: Path, suite: str, wanted: dict[str, str]) -> None:
        self._folder = to / in_path(suite)
        _require_board(to, self._folder.name, suite)
        self._records = sound_records(self._folder)
        told = {step: key for record in self._records for step, key in record.get("keys", {}).items()}
        # How the images of an attack were parted is not content, nor are names: what the plan calls otherwise counts.
        self._keys = {step: key for step, key in told.items() if whole_of(step) == step or whole_of(step) not in told}
        there, planned = {*self._keys.values()}, {*wanted.values()}
        held = {
            step: key in there
            for step, key in wanted.items()
            if key in there or (step in self._keys and self._keys[step] not in planned)
        }
        self._wanted = [step for step in wanted if whole_of(step) == step or whole_of(step) not in held]
        self.same = {step: held[step] for step in self._wanted if step in held}
        self._gone = [step for step, key in self._keys.items() if step not in wanted and key not in planned]

    def lines(self, packages: Versions) -> Iterator[str]:
        """Say how many steps are published, and which would be made from something else; `packages` are those here."""
        other = [step for step, same in self.same.items() if not same]
        if self._keys:
            what = f"{len(other)} of them made from something else" if other else "each as it would be made now"
            there = f"{len(self.same)} of {len(self._wanted)} steps" + (f", {what}" if self.same else "")
            yield f"published in {self._folder}: {there}"
        if other:
            yield f"made from something else: {some(other)}{self._versions(other, packages)}"
        if self._gone:
            yield f"published, and not in this plan: {some(self._gone)}"
        if older := [record["model"] for record in self._records if "keys" not in record]:
            yield f"{self._folder} does not say what {some(older)} was made from (an older format); publish it again"

    def _versions(self, other: list[str], packages: Versions) -> str:
        """Name the libraries of which another version made these steps, which may be why; builds are no versions."""
        records = [record for record in self._records if {*other} & record.get("keys", {}).keys()]
        made = [environment.get("packages", {}) for record in records for environment in environments_of(record)]
        found = {
            name: sorted({_version(each[name]) for each in made if each.get(name)} - {_version(here)})
            for name, here in packages.items()
            if name not in INERT
        }
        told = [f"{name} {', '.join(versions)}, here {packages[name]}" for name, versions in found.items() if versions]
        return f" ({'; '.join(told)})" if told else ""


def boards_at(path: Path) -> Path | None:
    """Give the folder of published boards that a path is, or is a board of; None of any other."""
    boards = _above(path) if (path / RECORDS).is_dir() else path
    return boards if board_folders(boards) else None


def _above(path: Path) -> Path:
    """Give the folder that a board is in, of `.` and `..`, too; of a link that one in which the board is called so."""
    return path.parent if path.name == path.resolve().name else path.resolve().parent


def require_boards(to: Path) -> list[str]:
    """Give the names of the boards in a folder.

    Raises
    ------
    UsageError
        If there are none.
    """
    if boards := [each.name for each in board_folders(to)]:
        return boards
    where = printable(str(to))
    if (to / RECORDS).is_dir():
        msg = f"{where} is a board itself; name the folder that it is in, {printable(str(_above(to)))}"
    elif to.is_dir():
        msg = f"no published boards in {where}; name their folder, such as leaderboards"
    else:
        what = "not a folder" if to.exists() else "not there"
        msg = f"{where} is {what}; name a folder of published boards, such as leaderboards"
    raise UsageError(msg)


def _require_board(to: Path, name: str, suite: str) -> None:
    if name not in (boards := require_boards(to)):
        msg = f"{to} has no board of {suite!r}; {nearest(name, boards)}"
        raise UsageError(msg)


def _version(version: str | None) -> str:
    return str(version).partition("+")[0]
