"""Reading a file, and writing it whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrbench.errors import LrbenchError, short
from lrbench.store.places import is_remote

TEMPORARY = ".tmp"


class StoreError(LrbenchError):
    """The folder cannot be written; what was finished is kept."""


def read_file(path: Path) -> bytes:
    """Read a file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if not is_remote(path):
        return path.read_bytes()
    # Opening an object first asks for its size, and reads in ranges what another process may replace in between.
    remote: Any = path
    content: bytes = remote.fs.cat_file(remote.path)
    return content


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    try:
        if is_remote(path):
            with os_errors():
                path.write_bytes(content)
        else:
            _write(path, content)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror or error}; what was finished is kept, run the command again"
        raise StoreError(msg) from error


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY, delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def os_errors() -> Iterator[None]:
    """Turn what a store's library raises, which has errors of its own for a network that fails, into OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(short(error)) from error
