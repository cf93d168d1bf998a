"""A run's folder: what its steps left, and the tables made of it."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lrbench.store.flock import FileLocks
from lrbench.store.lease import Hold, Leases, Lent
from lrbench.store.lock import Held, Locks, writing
from lrbench.store.places import absolute, is_remote, place_of
from lrbench.store.write import TEMPORARY, read_file, write_file

RECORD = "step.json"
UNFINISHED = "unfinished.bin"

FAILURE = "failure.txt"

ENVIRONMENTS = "environments"

Row = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A finished step: what it was made from (`key`, `config`), what it cost, what came out.

    `environment` is the hash of what it was taken under (`Store.environment`). `labels` are those of the attacks that
    `rows` tell of; they are names, and no part of what it was made from.
    """

    id: str
    key: str
    config: dict[str, Any]
    seconds: float
    rows: list[Row] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    environment: str = ""


class Store:
    """A run's folder: `steps/<id>/step.json` and its files for each finished step, and the final tables.

    Parameters
    ----------
    root : str or Path
        A folder, or the URL of one (`lrbench.store.place_of`). Made at the first write.
    hold : Hold, optional
        Of the process for which this one writes: its `hold`.
    """

    def __init__(self, root: str | Path, hold: Hold | None = None) -> None:
        self.root = absolute(place_of(root))
        self._held: Held | None = None if hold is None else Lent(self.root, hold)

    def folder(self, step_id: str) -> Path:
        """Folder of a step's files."""
        return self.root / "steps" / step_id

    def record(self, step_id: str) -> Record | None:
        """Record of a finished step; None if there is none, or none that is as it was written."""
        try:
            sealed = json.loads(read_file(self.folder(step_id) / RECORD))
            record = Record(**sealed["record"])
            return record if sealed["sha256"] == _seal(record) else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def records(self) -> Iterator[Record]:
        """Give the records of all finished steps in the folder, in no order."""
        steps = self.root / "steps"
        for path in steps.rglob(RECORD) if steps.exists() else ():
            record = self.record(path.parent.relative_to(steps).as_posix())
            if record is not None:
                yield record

    def has_damaged_record(self, step_id: str) -> bool:
        """Whether a step has a record that is not as it was written."""
        return (self.folder(step_id) / RECORD).exists() and self.record(step_id) is None

    def damaged(self, record: Record) -> str | None:
        """Name a file of the record that is missing or differs from its checksum; None if all are whole."""
        for name, checksum in record.files.items():
            try:
                content = read_file(self.folder(record.id) / name)
            except OSError:
                return name
            if _sha256(content) != checksum:
                return name
        return None

    def save(self, record: Record, files: Mapping[str, bytes]) -> Record:
        """Write a step's files, then its record: only with the record does the step count as finished."""
        folder = self.folder(record.id)
        self._confirm()
        (folder / RECORD).unlink(missing_ok=True)
        for name, content in files.items():
            write_file(folder / name, content)
        whole = Record(**{**asdict(record), "files": {name: _sha256(content) for name, content in files.items()}})
        sealed = {"record": asdict(whole), "sha256": _seal(whole)}
        self._confirm()
        write_file(folder / RECORD, (json.dumps(sealed, indent=1) + "\n").encode())
        for left in (UNFINISHED, FAILURE):
            (folder / left).unlink(missing_ok=True)
        return whole

    def save_environment(self, content: Mapping[str, Any]) -> str:
        """Keep a description of where steps are taken; give its hash, by which their records name it."""
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        name = _sha256(text.encode())[:16]
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
        return dict(json.loads(text)) if _sha256(text)[:16] == name else {}

    def save_failure(self, step_id: str, details: str) -> None:
        """Keep the traceback of a step that failed; gone once the step is saved."""
        self._confirm()
        write_file(self.folder(step_id) / FAILURE, details.encode())

    def remove(self, name: str) -> None:
        """Remove one of the run's own files, if it is there."""
        self._confirm()
        (self.root / name).unlink(missing_ok=True)

    def save_unfinished(self, step_id: str, key: str, content: bytes) -> None:
        """Keep how far a long step has come; gone once the step is saved."""
        self._confirm()
        write_file(self.folder(step_id) / UNFINISHED, f"{key} {_sha256(content)}\n".encode() + content)

    def unfinished(self, step_id: str, key: str) -> bytes | None:
        """Give what `save_unfinished` kept for a step with this key; None if nothing whole is there."""
        try:
            head, _, content = read_file(self.folder(step_id) / UNFINISHED).partition(b"\n")
        except OSError:
            return None
        return content if head == f"{key} {_sha256(content)}".encode() else None

    def write(self, name: str, content: str) -> None:
        """Write one of the run's own files."""
        self.write_bytes(name, content.encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write one of the run's own files."""
        self._confirm()
        write_file(self.root / name, content)

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
            if part is None and not is_remote(self.root):
                self._remove_temporaries()
            self._held = locks
            try:
                yield before
            finally:
                self._held = None

    @property
    def hold(self) -> Hold | None:
        """What other processes need to write for this one, which holds the folder; None for a folder of the disk."""
        return self._held.hold if isinstance(self._held, Leases) else None

    def check_held(self) -> None:
        """See that what `writing` holds was not lost, as far as is known without asking the store.

        Raises
        ------
        StoreError
            If another took it over, since this process was not heard of for too long.
        """
        if self._held is not None:
            self._held.check(ask=False)

    def _confirm(self) -> None:
        if self._held is not None:
            self._held.check(ask=True)

    def _remove_temporaries(self) -> None:
        """Remove what a process that was killed while it wrote has left."""
        for place in (".", "figures", "steps/**"):
            for path in self.root.glob(f"{place}/.*{TEMPORARY}"):
                with suppress(OSError):
                    path.unlink()


def taken_under(store: Store, records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give the environments that steps were taken under, each once, that of most steps first."""
    counted = Counter(record.environment for record in records)
    found = (store.environment(name) for name, _ in counted.most_common() if name)
    return [content for content in found if content]


def _seal(record: Record) -> str:
    return _sha256(json.dumps(asdict(record), sort_keys=True).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
