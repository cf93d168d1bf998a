"""Downloads that show how far they are, resume where they were cut off, and count only with the right checksum."""

import hashlib
import http
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from lrbench.errors import LrbenchError, short

CHUNK = 1 << 18
TIMEOUT = 30.0


def fetch(urls: Sequence[str], target: Path, md5: str) -> None:
    """Download a file from the first of several mirrors that has it; nothing happens if it is there already.

    What a broken connection left behind (`NAME.part`) is kept, and the next call asks the server for the rest.

    Parameters
    ----------
    urls : sequence of str
        https:// or http:// addresses of the same file.
    target : Path
    md5 : str
        Hexadecimal checksum, as the publisher states it.

    Raises
    ------
    LrbenchError
        If no mirror gives the file, or what came has another checksum.
    """
    if target.is_file() and _md5(target) == md5:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    reasons = []
    for url in urls:
        try:
            _transfer(url, part)
        except (OSError, http.client.HTTPException) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
            continue
        if _md5(part) == md5:
            part.replace(target)
            return
        part.unlink()
        reasons.append(f"{url}: the file that came has another checksum than {md5}")
    msg = f"cannot download {target.name}: {'; '.join(reasons)}"
    raise LrbenchError(msg)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive; nothing in it can leave the folder, link out of it or be a device.

    Raises
    ------
    LrbenchError
        If it cannot be read, or tries to.
    """
    try:
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        msg = f"cannot unpack {archive}: {short(error)}"
        raise LrbenchError(msg) from error


def _transfer(url: str, part: Path) -> None:
    """Append to `part` what it lacks of the file at `url`."""
    there = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "lrbench"})  # noqa: S310
    if there:
        request.add_header("Range", f"bytes={there}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is lacking
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (there if resumed else 0)
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file, part.stem, there if resumed else 0, total)
    size = part.stat().st_size
    if total is not None and size < total:
        msg = f"the connection ended after {size:,} of {total:,} bytes; the same command resumes there"
        raise ConnectionError(msg)


def _copy(source: IO[bytes], file: IO[bytes], name: str, done: int, total: int | None) -> None:
    columns = (TextColumn("downloading {task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total, completed=done)
        while chunk := source.read(CHUNK):
            file.write(chunk)
            progress.advance(task, len(chunk))


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
