"""Taking turns at a step: shares of a run that overlap do not take one at the same time."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lrbench.store.flock import LOCK, LOCKED_ELSEWHERE, require_flock
from lrbench.store.lease import Lease
from lrbench.store.lock import LockedError
from lrbench.store.paths import is_remote
from lrbench.store.write import unwritten

TURN = ".turn"
WAIT_SECONDS = 0.5


@contextmanager
def turn(root: Path, step_id: str, wait: Callable[[], None]) -> Iterator[None]:
    """Wait until no other process is at a step, and keep others from it.

    Parameters
    ----------
    root : Path
        The run's folder.
    step_id : str
    wait : callable
        Called between two looks; raises what ends the waiting.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    mark = hashlib.sha256(step_id.encode()).hexdigest()
    try:
        give_back = _lease(root, mark, wait) if is_remote(root) else _byte(root, mark, wait)
    except OSError as error:
        raise unwritten(root, error) from error
    try:
        yield
    finally:
        give_back()


def forget_turns(root: Path) -> None:
    """Remove what turns have left in an object store; nobody may be at a step."""
    if is_remote(root):
        # What stays is in nobody's way.
        with suppress(OSError):
            for leftover in root.glob(f"{TURN}-*"):
                leftover.fs.rm(leftover.path, recursive=True)  # type: ignore[attr-defined]


def _byte(root: Path, mark: str, wait: Callable[[], None]) -> Callable[[], None]:
    """Lock a byte of one file for each step, which the system frees when the process is gone."""
    fcntl = require_flock()
    file = os.open(root / f"{LOCK}-steps", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(mark[:14], 16))
            except OSError as error:
                if error.errno not in LOCKED_ELSEWHERE:
                    raise
                _look_later(wait)
            else:
                return lambda: os.close(file)
    except BaseException:
        os.close(file)
        raise


def _lease(root: Path, mark: str, wait: Callable[[], None]) -> Callable[[], None]:
    while True:
        lease = Lease(root, mark[:16], TURN)
        try:
            lease.take("held")
        except LockedError:
            _look_later(wait)
        else:
            return lease.free


def _look_later(wait: Callable[[], None]) -> None:
    wait()
    time.sleep(WAIT_SECONDS)
