"""Files from strangers: a path is a regular file's before it is opened, an archive no bomb before it is unpacked."""

import zipfile
from pathlib import Path

from lrbench.errors import UsageError, printable, short

MAX_RATIO = 200
HARMLESS_BYTES = 64 << 20


def is_file(path: Path) -> bool:
    """Whether this is a regular file; False, too, for what can be no path at all (too long, holds NUL)."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def check_archive(path: Path) -> None:
    """Refuse a zip archive that grows out of proportion when it is unpacked; other files pass.

    Arrays of images shrink by less than 20, and deflate cannot do better than 1,032; entries that share their data do.

    Raises
    ------
    UsageError
        If the file is not there or is no regular one, or its entries are more than `MAX_RATIO` times as large as it.
    """
    if not is_file(path):
        msg = f"no such file: {printable(str(path))[:200]}"
        raise UsageError(msg)
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        size = path.stat().st_size
    # zipfile alone raises BadZipFile, NotImplementedError, struct.error and ValueError for damaged archives.
    except Exception as error:
        msg = f"cannot read {printable(str(path))}: {short(error)}"
        raise UsageError(msg) from error
    if unpacked > max(HARMLESS_BYTES, MAX_RATIO * size):
        grown = f"{unpacked / 2**30:,.1f} GiB in {size:,} bytes"
        msg = f"{printable(str(path))} holds {grown}; that is a bomb and was not unpacked"
        raise UsageError(msg)
