"""Reading a file, and writing it whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

from lrbench.errors import LrbenchError, short
from lrbench.store.paths import is_remote

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
    # In one request, unlike open(), which asks for the size first: s3fs that takes `max_concurrency`, as versions after
    # 2026.1 do, otherwise reads in ranges what another process may replace in between.
    remote: Any = path
    ranges = "s3" in remote.fs.protocol and "max_concurrency" in signature(remote.fs._cat_file).parameters
    content: bytes = remote.fs.cat_file(remote.path, **({"max_concurrency": 1} if ranges else {}))
    return content


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    StoreError
        If it cannot be written, or something else than a file is there, which would be lost.
    """
    try:
        if is_remote(path):
            with os_errors():
                path.write_bytes(content)
        else:
            _refuse_special(path)
            _write(path, content)
    except OSError as error:
        raise unwritten(path, error) from error


def remove_file(path: Path) -> None:
    """Remove a file if it is there.

    Raises
    ------
    StoreError
        If it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritten(path, error, "remove") from error


def unwritten(path: Path, error: OSError, what: str = "write") -> StoreError:
    """Make the error for what could not be written."""
    return StoreError(
        f"cannot {what} {path}: {error.strerror or error}; what was finished is kept, run the command again"
    )


def _refuse_special(path: Path) -> None:
    """Refuse to put a file in the place of a device, a socket, a pipe, or a link to nowhere."""
    if (path.exists() or path.is_symlink()) and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EEXIST, "it is no regular file")


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
