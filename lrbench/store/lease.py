"""Locks where no system frees them: an object that its holder renews, and that counts for nothing once it is old."""

import os
import platform
import re
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from lrbench.store.lock import OWNER, HeldError, this_process
from lrbench.store.write import StoreError, read_file, write_file

RENEW_SECONDS = 20.0
STALE_SECONDS = 120.0
"""Older than this by the reader's clock, a lease holds nobody up; clocks may differ by less."""


class Leases:
    """Locks as objects beside the results; the store creates each for one process alone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ends: dict[str, threading.Event] = {}

    def take(self, name: str) -> str | None:
        """Take a lock, that of a process that is gone too."""
        before = self._old(name)
        me = this_process()
        path: Any = self._path(name)
        try:
            path.fs.pipe_file(path.path, _content(me), mode="create")
        except FileExistsError:
            raise HeldError(self.holder(name) or "") from None
        except OSError as error:
            # What S3 answers where the object is there already.
            if "PreconditionFailed" in str(error) or "pre-condition" in str(error).lower():
                raise HeldError(self.holder(name) or "") from None
            raise
        # Each store's library has errors of its own for a place that is not there.
        except Exception as error:
            msg = f"{type(error).__name__}: {error}"
            raise OSError(msg) from error
        self._ends[name] = end = threading.Event()
        threading.Thread(target=self._renew, args=(path, me, end), daemon=True).start()
        return before

    def free(self, name: str) -> None:
        """Give a lock back."""
        self._ends.pop(name).set()
        with suppress(OSError):
            self._path(name).unlink()

    def holder(self, name: str) -> str | None:
        """Say who holds a lock."""
        owner, written = self._read(name)
        return None if owner is None or _gone(owner, written) else owner

    def parts(self) -> list[str]:
        """Names of the parts' locks."""
        return [path.name.removeprefix(f"{OWNER}-") for path in self.root.glob(f"{OWNER}-*")]

    def _path(self, name: str) -> Path:
        return self.root / (f"{OWNER}-{name}" if name else OWNER)

    def _old(self, name: str) -> str | None:
        """Remove a lease that is no longer kept; give whose it was."""
        owner, written = self._read(name)
        if owner is None or not _gone(owner, written):
            return None
        with suppress(OSError):
            self._path(name).unlink()
        return owner

    def _read(self, name: str) -> tuple[str | None, float]:
        try:
            owner, _, written = read_file(self._path(name)).decode().partition("\n")
            return owner[:200], float(written)
        except (OSError, ValueError):
            return None, 0.0

    @staticmethod
    def _renew(path: Path, me: str, end: threading.Event) -> None:
        while not end.wait(RENEW_SECONDS):
            # Where this cannot be written, the run's next step cannot either, and says so.
            with suppress(StoreError):
                write_file(path, _content(me))


def _content(owner: str) -> bytes:
    return f"{owner}\n{time.time()}\n".encode()


def _gone(owner: str, written: float) -> bool:
    """Whether a lease is stale: not renewed, or by a process of this machine that is no more."""
    if time.time() - written > STALE_SECONDS:
        return True
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
