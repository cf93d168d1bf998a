"""Whether published figures are what a plan would find: the keys of their steps held against those of the plan's."""

from collections.abc import Iterator
from pathlib import Path

from lrbench.errors import UsageError, nearest, some
from lrbench.leaderboard.kept import environments_of
from lrbench.leaderboard.published.read import board_folders, sound_records
from lrbench.names import in_path, whole_of

Versions = dict[str, str | None]


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
        boards = [each.name for each in board_folders(to)]
        if self._folder.name not in boards:
            msg = f"{to} has no board of {suite!r}; {nearest(self._folder.name, boards)}"
            raise UsageError(msg)
        self._records, self._wanted = sound_records(self._folder), wanted
        self._keys = {step: key for record in self._records for step, key in record.get("keys", {}).items()}
        self.same = {step: wanted[step] == key for step, key in self._keys.items() if step in wanted}

    def lines(self, packages: Versions) -> Iterator[str]:
        """Say how many steps are published, and which would be made from something else; `packages` are those here."""
        # Parts of what was finished as a whole are in no record.
        asked = [step for step in self._wanted if whole_of(step) == step or whole_of(step) not in self._keys]
        other = [step for step, same in self.same.items() if not same]
        if self._keys:
            what = f"{len(other)} of them made from something else" if other else "each as it would be made now"
            there = f"{len(self.same)} of {len(asked)} steps" + (f", {what}" if self.same else "")
            yield f"published in {self._folder}: {there}"
        if other:
            yield f"made from something else: {some(other)}{self._versions(packages)}"
        if gone := [step for step in self._keys if step not in self._wanted]:
            yield f"published, and not in this plan: {some(gone)}"
        if older := [record["model"] for record in self._records if "keys" not in record]:
            yield f"{self._folder} does not say what {some(older)} was made from (an older format); publish it again"

    def _versions(self, packages: Versions) -> str:
        """Name the libraries of which another version made figures: that alone gives other keys."""
        made = [environment.get("packages", {}) for record in self._records for environment in environments_of(record)]
        found = {
            name: sorted({str(each[name]) for each in made if each.get(name, here) != here})
            for name, here in packages.items()
        }
        told = [f"{name} {', '.join(versions)}, here {packages[name]}" for name, versions in found.items() if versions]
        return f" ({'; '.join(told)})" if told else ""
