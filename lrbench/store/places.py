"""Where a folder is: on this machine's disks, or in an object store, by URL."""

from pathlib import Path
from typing import cast

from lrbench.errors import UsageError, short

OBJECT_STORES = ("s3", "gs", "gcs", "az", "abfs", "memory")
"""Protocols under which an object appears whole or not at all when it is written, whatever its size."""


def place_of(text: str | Path) -> Path:
    """Give a folder by its path, or by a URL such as `s3://BUCKET/RUN`, which fsspec reads.

    What comes back for a URL is a `upath.UPath`, which has a path's methods.

    Raises
    ------
    UsageError
        If the URL names no object store, what it needs is not installed, or it cannot be reached.
    """
    protocol, separator, rest = str(text).partition("://")
    if not isinstance(text, str) or not separator:
        return text if not isinstance(text, str) else Path(text)
    if protocol not in OBJECT_STORES or not rest.strip("/"):
        msg = f"{text:.200}: expected a path, or PROTOCOL://PLACE with one of {', '.join(OBJECT_STORES)}"
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
