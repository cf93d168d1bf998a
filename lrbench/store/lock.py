"""One writer at a time: for a whole run, or for each part of it."""

import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lrbench.errors import UsageError
from lrbench.store.write import StoreError


class LockedError(Exception):
    """A lock is held; says by whom."""


@dataclass(frozen=True)
class Hold:
    """Which part, or the whole, is held, and a lease by which token. Can be pickled."""

    part: str | None = None
    token: str = ""


class HeldLock(Protocol):
    """A lock that a writer holds, or on behalf of whose holder it writes."""

    def check(self, *, ask: bool) -> None:
        """See that it was not lost; `ask` the store, or go by what is known already.

        Raises
        ------
        StoreError
            If it was lost, or the store gives no answer.
        """


class Locks(HeldLock, Protocol):
    """What keeps other writers out of a folder. One of these takes one lock at a time."""

    root: Path

    @property
    def hold(self) -> Hold | None:
        """What shows other processes that they write for the holder; None where nothing is held."""

    def take(self, part: str | None) -> str | None:
        """Take the whole (None) or a part; give who held it before and went without a word, None for nobody.

        The whole goes with nothing else, a part with all other parts. Of two that do not go together exactly one gets
        what it asks for, however close they come; two that do never hinder each other.

        Raises
        ------
        LockedError
            If somebody holds it.
        OSError, StoreError
            If the folder cannot be written.
        """

    def free(self) -> None:
        """Give back what was taken, unless it was lost."""


@contextmanager
def writing(locks: Locks, part: str | None) -> Iterator[str | None]:
    """Hold the whole, or a part; gives who held it before and was cut off.

    Raises
    ------
    UsageError
        If another process holds it, or the folder cannot be written.
    """
    try:
        before = locks.take(part)
    except LockedError as error:
        msg = (
            f"another run is writing to {locks.root} ({str(error) or 'nobody knows who'}); wait for it, "
            "or choose another folder with --out"
        )
        raise UsageError(msg) from None
    except (OSError, StoreError) as error:
        strerror = error.strerror if isinstance(error, OSError) else None
        msg = f"cannot write to {locks.root}: {strerror or error}"
        raise UsageError(msg) from error
    try:
        yield before
    finally:
        locks.free()


def removed(root: Path) -> StoreError:
    """Make the error for a folder that somebody took away from under a run."""
    return StoreError(
        f"{root} was removed or moved while this run was writing to it; it writes no more: bring the folder back, or "
        "run the command again to begin anew"
    )


def this_process() -> str:
    """Say who and since when."""
    return f"process {os.getpid()} on {platform.node()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"


def is_gone(owner: str) -> bool:
    """Whether an owner, as `this_process` names it, was a process of this machine and is no more."""
    found = re.fullmatch(r"process (\d+) on (.*) since [\d: -]+", owner)
    if found is None or found[2] != platform.node():
        return False
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
