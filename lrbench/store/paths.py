"""Where a folder is: on this machine's disks, or in an object store, by URL."""

import os
import stat
from pathlib import Path
from typing import cast

from lrbench.errors import UsageError, printable, short

OBJECT_STORES = ("s3", "gs", "gcs", "az", "abfs", "memory")
"""Protocols under which an object appears whole or not at all when it is written, whatever its size."""

MAX_DEPTH = 250
"""Of folders within folders: Python makes them, and asks for them, by recursion."""


def as_path(text: str | Path) -> Path:
    """Give a folder by its path, or by a URL such as `s3://BUCKET/RUN`, which fsspec reads.

    What comes back for a URL is a `upath.UPath`, which has a path's methods.

    Raises
    ------
    UsageError
        If it can be no path here, or the URL names no object store, what it needs is not installed, or it cannot be
        reached.
    """
    protocol, separator, rest = str(text).partition("://")
    if not isinstance(text, str) or not separator:
        return _usable(text) if isinstance(text, str | Path) else text
    if protocol not in OBJECT_STORES or not rest.strip("/"):
        msg = f"{text:.200}: expected a path, or PROTOCOL://PATH with one of {', '.join(OBJECT_STORES)}"
        raise UsageError(msg)
    try:
        from upath import UPath  # noqa: PLC0415

        # Other processes write there too, so that what was listed a while ago counts for nothing.
        folder = UPath(text, use_listings_cache=False)
        folder.exists()
    except ImportError as error:
        extra = "lrbench[s3]" if protocol == "s3" else f"a package for {protocol}://"
        msg = f"{text:.200}: {short(error)}; install {extra}"
        raise UsageError(msg) from None
    # Each store's library has errors of its own for a network or a key that fails.
    except Exception as error:
        msg = f"{text:.200} cannot be reached: {short(error)}"
        raise UsageError(msg) from error
    return cast("Path", folder)


def folder_of(text: str) -> Path:
    """Give a folder of this machine's disks, which need not be there yet, by its path.

    Raises
    ------
    UsageError
        If it is something else.
    """
    # Before it is looked up: an object store may not be within reach.
    if "://" in text:
        msg = f"{text:.200}: expected a folder on this machine, not a URL"
        raise UsageError(msg)
    path = as_path(text)
    require_folder(path)
    return path


def require_folder(path: Path) -> None:
    """Refuse what is there and no folder.

    Raises
    ------
    UsageError
        If it is a file, or something stranger.
    """
    if path.exists() and not path.is_dir():
        msg = f"{path} is {'a file' if path.is_file() else 'no folder'}; name a folder"
        raise UsageError(msg)


def absolute(folder: Path) -> Path:
    """Give a folder by the path that names it wherever the process goes; that of an object store does so already."""
    return folder if is_remote(folder) else folder.absolute()


def shown(folder: Path) -> str:
    """Write a folder for people: by its path from the working directory where it lies below that."""
    if not is_remote(folder) and folder.is_relative_to(Path.cwd()):
        return str(folder.relative_to(Path.cwd()))
    return str(folder)


def is_remote(folder: Path) -> bool:
    """Whether a folder is in an object store."""
    return not isinstance(folder, Path)


def _usable(text: str | Path) -> Path:
    """Refuse what can be no path, and a folder that is there and cannot be read."""
    path = Path(text)
    try:
        found = path.stat()
    except FileNotFoundError:
        reason = "it is a link to what is not there" if path.is_symlink() else ""
    except NotADirectoryError:
        reason = f"{next(above for above in path.parents if above.exists())} is no folder"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    except ValueError:
        reason = "a path holds no NUL"
    else:
        readable = not stat.S_ISDIR(found.st_mode) or os.access(path, os.R_OK | os.X_OK)
        reason = "" if readable else "this folder cannot be read (permission denied)"
    if len(path.parts) > MAX_DEPTH:
        reason = f"more than {MAX_DEPTH} folders deep"
    if not str(text):
        reason = "an empty name; . is the working directory"
    if reason:
        msg = f"{printable(str(text)):.100}: {reason}"
        raise UsageError(msg)
    return path
