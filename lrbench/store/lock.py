"""One writer at a time: for a whole run, or for each part of it."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from lrbench.errors import UsageError
from lrbench.store.write import StoreError, write_file

WHOLE = ""
LOCK = ".lock"
OWNER = ".owner"


class HeldError(Exception):
    """A lock is held; says by whom."""


class Locks(Protocol):
    """The locks of a folder, by name."""

    root: Path

    def take(self, name: str) -> str | None:
        """Take a lock; give who held it before and went without a word, None for nobody.

        Raises
        ------
        HeldError
            If somebody holds it.
        OSError, StoreError
            If the folder cannot be written.
        """

    def free(self, name: str) -> None:
        """Give a lock back."""

    def holder(self, name: str) -> str | None:
        """Say who holds a lock; None if nobody does."""

    def parts(self) -> list[str]:
        """Names of all locks that there were, but the whole's."""


@contextmanager
def writing(locks: Locks, part: str | None) -> Iterator[str | None]:
    """Hold the whole, which nobody may hold a part of, or a part; gives who held it before and was cut off.

    Each takes its own lock first and looks at the others' then, so that of two who come at once at most one goes on.

    Raises
    ------
    UsageError
        If another process holds it, or the folder cannot be written.
    """
    name = part or WHOLE
    try:
        before = locks.take(name)
    except HeldError as error:
        raise _busy(locks.root, str(error)) from None
    except (OSError, StoreError) as error:
        strerror = error.strerror if isinstance(error, OSError) else None
        msg = f"cannot write to {locks.root}: {strerror or error}"
        raise UsageError(msg) from error
    try:
        for rival in [WHOLE] if part else locks.parts():
            if (owner := locks.holder(rival)) is not None:
                raise _busy(locks.root, owner)
        yield before
    finally:
        locks.free(name)


def _busy(root: Path, owner: str) -> UsageError:
    return UsageError(
        f"another run is writing to {root} ({owner or 'nobody knows who'}); wait for it, "
        "or choose another folder with --out"
    )


def this_process() -> str:
    """Say who and since when."""
    return f"process {os.getpid()} on {platform.node()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"


class FileLocks:
    """Locks that the system frees when a process is gone, so that a stale one holds nobody up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mine: dict[str, FileLock] = {}

    def take(self, name: str) -> str | None:
        """Take a lock."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f"{LOCK}{_suffix(name)}", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise HeldError(self._owner(name) or "") from None
        self._mine[name] = lock
        try:
            before = self._owner(name)
            write_file(self.root / f"{OWNER}{_suffix(name)}", this_process().encode())
        except BaseException:
            self.free(name)
            raise
        return before

    def free(self, name: str) -> None:
        """Give a lock back."""
        with suppress(OSError):
            (self.root / f"{OWNER}{_suffix(name)}").unlink()
        self._mine.pop(name).release()

    def holder(self, name: str) -> str | None:
        """Say who holds a lock."""
        path = self.root / f"{LOCK}{_suffix(name)}"
        if not path.exists():
            return None
        try:
            with FileLock(path, timeout=0):
                return None
        except Timeout:
            return self._owner(name) or ""

    def parts(self) -> list[str]:
        """Names of the parts' locks."""
        return [path.name.removeprefix(f"{LOCK}-") for path in self.root.glob(f"{LOCK}-*")]

    def _owner(self, name: str) -> str | None:
        try:
            return (self.root / f"{OWNER}{_suffix(name)}").read_text("utf-8", errors="replace")[:200] or None
        except OSError:
            return None


def _suffix(name: str) -> str:
    return f"-{name}" if name else ""
