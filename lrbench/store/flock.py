"""Locks on a folder that the system frees when a process is gone, so that a stale one holds nobody up."""

import errno
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from lrbench.store.lock import Hold, LockedError, is_gone, removed, this_process
from lrbench.store.write import write_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
OWNER = ".owner"

LOCKED_ELSEWHERE = {errno.EAGAIN, errno.EACCES}
"""What the system answers where another holds the lock."""


class FileLocks:
    """flock(2): a part holds the whole's lock shared and its own alone; the whole holds its lock alone.

    Nobody has to look at another's lock, which could only be done by taking it for a moment. On NFS the same call locks
    for all machines (Linux 2.6.12 and later). Beside each lock lies a file that says who took it last: for people, and
    to tell after a crash who was cut off; it decides nothing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._held = ExitStack()
        self._whole: int | None = None
        self._part: str | None = None

    def take(self, part: str | None) -> str | None:
        """Take the whole or a part."""
        self.root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as taken:
            if part is None:
                whole = self._lock(taken, "", owners=f"{OWNER}*", shared=False)
            else:
                whole = self._lock(taken, "", owners=OWNER, shared=True)
                self._lock(taken, f"-{part}", owners=f"{OWNER}-{part}", shared=False)
            owner = self.root / (OWNER if part is None else f"{OWNER}-{part}")
            before = _read(owner)
            # Called before the lock is given back: whoever takes it next has a file of his own there.
            taken.callback(_forget, owner)
            write_file(owner, this_process().encode())
            self._held, self._whole, self._part = taken.pop_all(), whole, part
        return before

    @property
    def hold(self) -> Hold | None:
        """What shows other processes that they write for the holder; None where nothing is held."""
        return None if self._whole is None else Hold(self._part)

    def check(self, *, ask: bool) -> None:  # noqa: ARG002 - both cost nothing
        """See that the folder is still there: the system takes no lock away, but people take folders away.

        Raises
        ------
        StoreError
            If it is not.
        """
        if self._whole is None:
            return
        try:
            same = os.path.samestat(os.fstat(self._whole), (self.root / LOCK).stat())
        except OSError:
            same = False
        if not same:
            raise removed(self.root)

    def free(self) -> None:
        """Give back what was taken."""
        self._whole = None
        self._held.close()

    def _lock(self, taken: ExitStack, suffix: str, owners: str, *, shared: bool) -> int:
        system = require_flock()
        # NFS shares a lock on what is open for reading, and gives one alone on what is open for writing.
        file = os.open(self.root / f"{LOCK}{suffix}", os.O_RDWR | os.O_CREAT, 0o644)
        taken.callback(os.close, file)
        try:
            system.flock(file, (system.LOCK_SH if shared else system.LOCK_EX) | system.LOCK_NB)
        except OSError as error:
            if error.errno in LOCKED_ELSEWHERE:
                raise LockedError(_likeliest(self.root.glob(owners))) from None
            raise OSError(error.errno, f"its file system cannot lock files ({error.strerror})") from error
        # Closing would leave it with a forked process that has the file open still.
        taken.callback(system.flock, file, system.LOCK_UN)
        return file


def require_flock() -> Any:  # noqa: ANN401
    """Give the module of the system's locks.

    Raises
    ------
    OSError
        If the system has none.
    """
    if fcntl is None:
        raise OSError(errno.ENOTSUP, "this system has no flock(2), by which lrbench locks a folder")
    return fcntl


class FileLent:
    """The lock of another process, for which this one writes; it lies in the folder as long as that is there.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def check(self, *, ask: bool) -> None:  # noqa: ARG002 - both cost nothing
        """See that the folder is still there.

        Raises
        ------
        StoreError
            If it is not.
        """
        if not (self._root / LOCK).exists():
            raise removed(self._root)


def _likeliest(owners: Iterable[Path]) -> str:
    """Say who holds a lock: whoever came last and is not known to be gone."""
    seen: dict[str, float] = {}
    for path in owners:
        with suppress(OSError):
            seen[_read(path) or ""] = path.stat().st_mtime
    return max((owner for owner in seen if not is_gone(owner)), key=lambda owner: seen[owner], default="")


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace")[:200] or None
    except OSError:
        return None


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
