"""Changes to a folder by whoever holds the run, and by nobody who only believes to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrbench.store.exchange import exchange, tags
from lrbench.store.paths import is_remote
from lrbench.store.write import StoreError, remove_file, unwritten, write_file

TRIES = 5


class Changes:
    """Writes to one folder, each over nothing but what was there before its writer last knew that it holds the run.

    In an object store a lease says so, and whoever slept between asking for it and writing finds another object there
    than the one it had looked at. On disks the system takes no lock away, so that asking is enough.

    Parameters
    ----------
    folder : Path
    confirm : callable
        Asks whether the run is held still.

    Raises
    ------
    StoreError
        If it is not, or the store gives no answer.
    """

    def __init__(self, folder: Path, confirm: Callable[[], None]) -> None:
        self.folder, self.confirm = folder, confirm
        self._tags: dict[str, Any] = {}
        self._look()

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all.

        Raises
        ------
        StoreError
            If it cannot be written, or the run was lost.
        """
        if is_remote(self.folder):
            self._exchange(name, content)
        else:
            write_file(self.folder / name, content)

    def remove(self, name: str) -> None:
        """Remove a file if it is there.

        Raises
        ------
        StoreError
            If it cannot be removed, or the run was lost.
        """
        if not is_remote(self.folder):
            remove_file(self.folder / name)
        elif name in self._tags:
            self._exchange(name, None)

    def _look(self) -> None:
        # First this, then the lease: what was there while it was held is nobody else's.
        if is_remote(self.folder):
            try:
                self._tags = tags(self.folder)
            except OSError as error:
                raise unwritten(self.folder, error) from error
        self.confirm()

    def _exchange(self, name: str, content: bytes | None) -> None:
        path = self.folder / name
        for _ in range(TRIES):
            try:
                done = exchange(path, self._tags.get(name), content)
            except OSError as error:
                raise unwritten(path, error) from error
            if done:
                self._tags.pop(name, None)
                return
            self._look()
            if content is None and name not in self._tags:
                return
        msg = f"another process writes {path} again and again; what was finished is kept, run the command again"
        raise StoreError(msg)
