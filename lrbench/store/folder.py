"""A run's folder: what its steps left, and the tables made of it."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrbench.store.changes import Changes
from lrbench.store.flock import FileLent, FileLocks
from lrbench.store.lease import Leases, Lent
from lrbench.store.lock import HeldLock, Hold, Locks, writing
from lrbench.store.paths import absolute, as_path, is_remote
from lrbench.store.record import RECORD, Record, checksum
from lrbench.store.turns import forget_turns, turn
from lrbench.store.view import View
from lrbench.store.write import TEMPORARY, read_file

UNFINISHED = "unfinished.bin"

FAILURE = "failure.txt"

ENVIRONMENTS = "environments"

LONGEST = "x" * 60
"""As long as the name of any file of a step, while it is being written."""


class Store:
    """A run's folder: `steps/<id>/step.json` and its files for each finished step, and the final tables.

    Parameters
    ----------
    root : str or Path
        A folder, or the URL of one (`lrbench.store.as_path`). Made at the first write.
    hold : Hold, optional
        Of the process for which this one writes: its `hold`.
    device : str
        Kind of device on which steps are taken here. Each has what is unfinished to itself: random numbers of another
        kind are others.
    """

    def __init__(self, root: str | Path, hold: Hold | None = None, device: str = "cpu") -> None:
        self.root, self.device = absolute(as_path(root)), device
        self._locks: Locks | None = None
        self._held: HeldLock | None = None
        self._lent = hold
        if hold is not None:
            self._held = Lent(self.root, hold) if is_remote(self.root) else FileLent(self.root)

    def folder(self, step_id: str) -> Path:
        """Folder of a step's files."""
        return self.root / "steps" / step_id

    def require_room(self, steps: Iterable[str]) -> None:
        """Refuse a folder so deep that the files of these steps could not be named.

        Raises
        ------
        UsageError
            If they could not.
        """
        if not is_remote(self.root):
            as_path(self.folder(max(steps, key=len, default="")) / LONGEST)

    def record(self, step_id: str) -> Record | None:
        """Record of a finished step; None if there is none, or none that is as it was written."""
        try:
            return Record.unsealed(read_file(self.folder(step_id) / RECORD))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def view(self) -> View:
        """Give the steps as they are now, for who reads many of them and writes none."""
        return View(self)

    def damaged(self, record: Record) -> str | None:
        """Name a file of the record that is missing or differs from its checksum; None if all are whole."""
        return next((name for name in record.files if self.file(record, name) is None), None)

    def file(self, record: Record, name: str) -> bytes | None:
        """Read a file of a record; None if it is missing or differs from its checksum."""
        try:
            content = read_file(self.folder(record.id) / name)
        except OSError:
            return None
        return content if checksum(content) == record.files.get(name) else None

    def save(self, record: Record, files: Mapping[str, bytes]) -> Record:
        """Write a step's files, then its record: only with the record does the step count as finished."""
        folder = self._changing(self.folder(record.id))
        folder.remove(RECORD)
        for name, content in files.items():
            folder.write(name, content)
        whole = replace(
            record,
            files={name: checksum(content) for name, content in files.items()},
            sizes={name: len(content) for name, content in files.items()},
        )
        self._confirm()
        folder.write(RECORD, whole.sealed())
        for left in (self._unfinished, FAILURE):
            folder.remove(left)
        return whole

    def save_environment(self, content: Mapping[str, Any]) -> str:
        """Keep a description of where steps are taken; give its hash, by which their records name it."""
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        name = checksum(text.encode())[:16]
        if not self.environment(name):
            self.write(f"{ENVIRONMENTS}/{name}.json", text)
        return name

    def environment(self, name: str) -> dict[str, Any]:
        """Read what `save_environment` kept; empty where it is not as it was written.

        A description that is lost makes no step again: the results are there, and only less is known of them.
        """
        try:
            text = read_file(self.root / ENVIRONMENTS / f"{name}.json")
        except OSError:
            return {}
        return dict(json.loads(text)) if checksum(text)[:16] == name else {}

    def save_failure(self, step_id: str, details: str) -> None:
        """Keep the traceback of a step that failed; gone once the step is saved."""
        self._changing(self.folder(step_id)).write(FAILURE, details.encode())

    def remove(self, name: str) -> None:
        """Remove one of the run's own files, if it is there."""
        path = self.root / name
        self._changing(path.parent).remove(path.name)

    def save_unfinished(self, step_id: str, key: str, content: bytes) -> None:
        """Keep how far a long step has come; gone once the step is saved."""
        whole = f"{key} {checksum(content)}\n".encode() + content
        self._changing(self.folder(step_id)).write(self._unfinished, whole)

    def unfinished(self, step_id: str, key: str) -> bytes | None:
        """Give what `save_unfinished` kept for a step with this key on such a device; None if nothing whole is."""
        try:
            head, _, content = read_file(self.folder(step_id) / self._unfinished).partition(b"\n")
        except OSError:
            return None
        return content if head == f"{key} {checksum(content)}".encode() else None

    @property
    def _unfinished(self) -> str:
        return UNFINISHED if self.device == "cpu" else f"unfinished-{self.device}.bin"

    def write(self, name: str, content: str) -> None:
        """Write one of the run's own files."""
        self.write_bytes(name, content.encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write one of the run's own files."""
        path = self.root / name
        self._changing(path.parent).write(path.name, content)

    @contextmanager
    def writing(self, part: str | None = None) -> Iterator[str | None]:
        """Hold the folder, or a named part of the run, which others may hold other parts of at the same time.

        Gives who held it before and went without a word, None for nobody.

        Raises
        ------
        UsageError
            If another process holds it, or the folder cannot be written.
        """
        locks: Locks = Leases(self.root) if is_remote(self.root) else FileLocks(self.root)
        with writing(locks, part) as before:
            if part is None:
                self._remove_temporaries()
                forget_turns(self.root)
            self._held = self._locks = locks
            try:
                yield before
            except Exception:
                # Where the folder is gone, whatever else went wrong went wrong for that.
                self.check_held()
                raise
            finally:
                self._held = self._locks = None

    @property
    def hold(self) -> Hold | None:
        """What other processes need to write for this one, which holds the folder; None if it does not."""
        return self._lent if self._locks is None else self._locks.hold

    @property
    def shared(self) -> bool:
        """Whether a part of the run is held here, and others may hold other parts."""
        return self.hold is not None and self.hold.part is not None

    def turn(self, step_id: str, wait: Callable[[], None]) -> AbstractContextManager[None]:
        """Wait until no other process that writes here is at a step, and keep others from it.

        `wait` is called again and again, and ends the waiting with what it raises.
        """
        return turn(self.root, step_id, wait)

    def check_held(self) -> None:
        """See that what `writing` holds was not lost, as far as is known without asking an object store.

        Raises
        ------
        StoreError
            If another took it over, since this process was not heard of for too long, or the folder is gone.
        """
        if self._held is not None:
            self._held.check(ask=False)

    def _changing(self, folder: Path) -> Changes:
        return Changes(folder, self._confirm)

    def _confirm(self) -> None:
        if self._held is not None:
            self._held.check(ask=True)

    def _remove_temporaries(self) -> None:
        """Remove what a process that was killed while it wrote has left on disks."""
        if is_remote(self.root):
            return
        for folder in (".", "figures", "steps/**"):
            for path in self.root.glob(f"{folder}/.*{TEMPORARY}"):
                with suppress(OSError):
                    path.unlink()


def taken_under(store: Store, records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give the environments that steps were taken under, each once, that of most steps first."""
    counted = Counter(record.environment for record in records)
    found = (store.environment(name) for name, _ in counted.most_common() if name)
    return [content for content in found if content]
