"""Writing an object only if it is still the one that was looked at: compare-and-swap on single objects."""

import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from lrbench.store.write import os_errors

WHOLE = 4 * 2**30
"""Bytes up to which an object goes to S3 in one request, which alone can have a condition."""

# fsspec's memory looks and writes in two steps; the others' servers do it in one.
_writing_memory = threading.Lock()


def tags(folder: Path) -> dict[str, Any]:
    """Give, by name, what tells of each object of a folder whether it was written since: its ETag.

    Of fsspec's memory it is the object itself; of stores whose library takes no condition for replacing one (gs, az) it
    says only that there is one.

    Raises
    ------
    OSError
        If the store gives no answer.
    """
    remote: Any = folder
    try:
        with os_errors():
            found = remote.fs.ls(remote.path, detail=True)
    except FileNotFoundError:
        return {}
    files = {str(each["name"]).rpartition("/")[2]: each for each in found if each["type"] == "file"}
    if _in_memory(remote.fs):
        return {name: remote.fs.store.get(each["name"]) for name, each in files.items()}
    return {name: each.get("ETag", "there") for name, each in files.items()}


def exchange(path: Path, tag: Any, content: bytes | None) -> bool:  # noqa: ANN401 - what tells objects apart differs
    """Put an object, or none (`content` None), in the place of the one with that tag (None: of none).

    False if another one is there, or none, and nothing was done. S3 tells objects apart by their content, so that one
    that was written anew with the same content counts as the same.

    Raises
    ------
    OSError
        If the store gives no answer: it may have been done or not.
    """
    try:
        with os_errors():
            return _exchange(path, tag, content)
    except OSError:
        # Stores say in different words that a condition did not hold.
        if tags(path.parent).get(path.name) != tag:
            return False
        raise


def create(path: Path, content: bytes) -> None:
    """Write an object that is not there yet.

    Raises
    ------
    Exception
        Of the store's library, if it is there, or the store gives no answer.
    """
    remote: Any = path
    with _writing_memory if _in_memory(remote.fs) else nullcontext():
        remote.fs.pipe_file(remote.path, content, mode="create")


def _in_memory(fs: Any) -> bool:  # noqa: ANN401
    return bool(fs.protocol == "memory")


def _exchange(path: Path, tag: Any, content: bytes | None) -> bool:  # noqa: ANN401
    fs, target = path.fs, path.path  # type: ignore[attr-defined]
    if tag is None:
        if content is not None:
            create(path, content)
    elif "s3" in fs.protocol and content is not None:
        fs.pipe_file(target, content, chunksize=WHOLE, IfMatch=tag)
    elif "s3" in fs.protocol:
        bucket, key, _ = fs.split_path(target)
        fs.call_s3("delete_object", Bucket=bucket, Key=key, IfMatch=tag)
    elif _in_memory(fs):
        with _writing_memory:
            if fs.store.get(target) is not tag:
                return False
            _replace(fs, target, content)
    else:
        _replace(fs, target, content)
    return True


def _replace(fs: Any, target: str, content: bytes | None) -> None:  # noqa: ANN401
    if content is None:
        fs.rm_file(target)
    else:
        fs.pipe_file(target, content)
