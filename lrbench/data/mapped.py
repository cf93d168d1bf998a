"""Decoded images in a file that is mapped: the system keeps in memory what fits, and reads the rest when it is used."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from lrbench.errors import UsageError, short
from lrbench.files import is_file

CHUNK = 512


def cache_folder() -> Path:
    """Where decoded images are kept: $LRBENCH_CACHE, else the platform's cache folder."""
    return Path(os.environ.get("LRBENCH_CACHE") or user_cache_path("lrbench"))


def mapped(path: Path, count: int, size: tuple[int, ...], decode: Callable[[Sequence[int]], Tensor]) -> Tensor:
    """Map the file, uint8 (count, *size), after it has been filled, a chunk at a time, if it is not there.

    Raises
    ------
    UsageError
        If it cannot be written, is damaged, or there is no room for it.
    """
    if not is_file(path):
        _fill(path, count, size, decode)
    try:
        images = np.load(path, mmap_mode="c")
    except (OSError, ValueError) as error:
        msg = f"{path} is damaged ({short(error)}); remove it, and the images are decoded again"
        raise UsageError(msg) from error
    return torch.from_numpy(images)


def _fill(path: Path, count: int, size: tuple[int, ...], decode: Callable[[Sequence[int]], Tensor]) -> None:
    needed = count * int(np.prod(size))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(path.parent).free) < needed:
            msg = (
                f"decoded images need {needed / 2**30:.1f} GiB in {path.parent}, where {free / 2**30:.1f} are free; "
                "set LRBENCH_CACHE to another folder, or `keep: stream`"
            )
            raise UsageError(msg)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".decoding-") as folder:
            temporary = Path(folder) / path.name
            images = np.lib.format.open_memmap(temporary, "w+", np.uint8, (count, *size))
            for start in range(0, count, CHUNK):
                numbers = range(start, min(start + CHUNK, count))
                images[start : start + len(numbers)] = decode(numbers).numpy()
            images.flush()
            temporary.replace(path)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror or error}; set LRBENCH_CACHE to another folder, or `keep: stream`"
        raise UsageError(msg) from error
