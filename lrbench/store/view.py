"""A run's steps as they were when first looked at, at the cost of a listing and of one read a record."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lrbench.errors import UsageError
from lrbench.store.paths import is_remote
from lrbench.store.record import RECORD, Record
from lrbench.store.write import os_errors

if TYPE_CHECKING:
    from lrbench.store.folder import Store


class View:
    """Reads each record once, however often it is asked for, and no file of an object store to say that it is there.

    There one listing tells which files there are and how large: what is cut off or missing is found, and what changed
    at the same size only by who asks to look `closely`. On disks files are held against their checksums.
    """

    def __init__(self, store: "Store") -> None:
        self.store = store
        self._records: dict[str, Record | None] = {}
        self._damaged: dict[tuple[str, bool], str | None] = {}
        self._devices: dict[str, str] = {}

    def record(self, step_id: str) -> Record | None:
        """Give the record of a finished step; None if there is none, or none that is as it was written."""
        if step_id not in self._records:
            there = self._sizes is None or f"{step_id}/{RECORD}" in self._sizes
            self._records[step_id] = self.store.record(step_id) if there else None
        return self._records[step_id]

    def records(self) -> Iterator[Record]:
        """Give the records of all finished steps in the folder, in no order."""
        for step_id in self._ids():
            record = self.record(step_id)
            if record is not None:
                yield record

    def has_damaged_record(self, step_id: str) -> bool:
        """Whether a step has a record that is not as it was written.

        Raises
        ------
        UsageError
            If a folder is in its place.
        """
        if self.record(step_id) is not None:
            return False
        if self._sizes is not None:
            return f"{step_id}/{RECORD}" in self._sizes
        record = self.store.folder(step_id) / RECORD
        if record.is_dir():
            msg = f"{record} is a folder where a file should be; remove it"
            raise UsageError(msg)
        return record.exists()

    def damaged(self, record: Record, *, closely: bool = False) -> str | None:
        """Name a file of the record that is missing or not as it was written; None if all are whole.

        Parameters
        ----------
        record : Record
        closely : bool
            Whether checksums decide in an object store, too, for which all its files are read.
        """
        asked = (record.id, closely)
        if asked not in self._damaged:
            sizes = None if closely or record.sizes.keys() != record.files.keys() else self._sizes
            if sizes is None:
                self._damaged[asked] = self.store.damaged(record)
            else:
                wrong = (name for name, size in record.sizes.items() if sizes.get(f"{record.id}/{name}") != size)
                self._damaged[asked] = next(wrong, None)
        return self._damaged[asked]

    def taken_on(self, record: Record) -> str:
        """Name the kind of device that a step was taken on, such as "cuda"; empty if it is not known."""
        name = record.environment
        if name not in self._devices:
            self._devices[name] = str(self.store.environment(name).get("device", "")).partition(":")[0]
        return self._devices[name]

    def _ids(self) -> Iterator[str]:
        steps = self.store.root / "steps"
        if self._sizes is not None:
            yield from (name.rpartition("/")[0] for name in self._sizes if name.rpartition("/")[2] == RECORD)
        else:
            yield from (path.parent.relative_to(steps).as_posix() for path in steps.rglob(RECORD))

    @cached_property
    def _sizes(self) -> dict[str, int] | None:
        """Name below `steps` -> bytes, of an object store; None of disks."""
        if not is_remote(self.store.root):
            return None
        steps: Any = self.store.root / "steps"
        with os_errors():
            found = steps.fs.find(steps.path, detail=True)
        return {path[len(steps.path) :].lstrip("/"): each["size"] for path, each in found.items()}
