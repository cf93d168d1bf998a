"""Arrays of images and labels out of an `.npz`, under the names that people give them."""

import math
import zipfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.errors import UsageError, printable, short
from lrbench.files import check_archive

Array = NDArray[Any]
Slot = tuple[str, str]

PARTS = ("train", "test")
KINDS = {"x": ("x", "image", "images", "data"), "y": ("y", "label", "labels", "target", "targets")}
VALIDATION = ("val", "valid", "validation")

SHOWN = 8


def read_npz(file: Path) -> dict[Slot, tuple[str, Array]]:
    """Read the arrays: ("x" or "y", "train" or "test") -> the array's name in the file, and the array.

    Those of training images may be missing, both of them.

    Raises
    ------
    UsageError
        If the file is missing or damaged, holds Python objects or a bomb, or not one array for each.
    """
    check_archive(file)
    where = printable(str(file))
    try:
        with zipfile.ZipFile(file) as archive:
            found = _named([name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")])
            return {slot: (name, _array(archive, f"{name}.npy")) for slot, name in found.items()}
    except UsageError as error:
        msg = f"{where} {error}"
        raise UsageError(msg) from None
    # Whatever a damaged archive raises: zip, zlib and numpy each have errors of their own.
    except Exception as error:
        msg = f"cannot read {where} as an .npz of plain arrays: {short(error)}"
        raise UsageError(msg) from error


def _named(names: list[str]) -> dict[Slot, str]:
    """Find which array is which; validation arrays stand for test arrays where there are none."""
    found: dict[Slot, str] = {}
    for slot in product(KINDS, PARTS):
        choices = _spelled(names, slot)
        if slot[1] == "test" and not choices:
            choices = [name for part in VALIDATION for name in _spelled(names, (slot[0], part))]
        if len(choices) > 1:
            msg = f"holds both {printable(choices[0])} and {printable(choices[1])}; keep one of them"
            raise UsageError(msg)
        if not choices and slot[1] == "train" and not _spelled(names, ("x" if slot[0] == "y" else "y", "train")):
            continue
        if not choices:
            there = ", ".join(printable(name)[:40] for name in sorted(names)[:SHOWN]) or "none"
            msg = f"must hold the arrays x_test and y_test, and x_train and y_train to train on; it holds {there}"
            raise UsageError(msg)
        found[slot] = choices[0]
    return found


def _spelled(names: list[str], slot: Slot) -> list[str]:
    """Names that stand for this, in whatever order and case: x_train, X_train, train_images, trainX, ..."""
    kind, part = slot
    wanted = {each for word in KINDS[kind] for each in (word + part, part + word)}
    return [name for name in names if name.lower().replace("_", "").replace("-", "") in wanted]


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    """Read an array after its header has been held against its size: numpy would first allocate what it claims."""
    info = archive.getinfo(name)
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        if math.prod(shape) * dtype.itemsize != info.file_size - member.tell() or dtype.hasobject:
            msg = f"{name} is not the array that it says it is"
            raise ValueError(msg)
    with archive.open(info) as member:
        array: Array = np.lib.format.read_array(member, allow_pickle=False)
        return array
