"""Arrays that were handed over in Python, as a data set that a run keeps beside its results."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrbench.data.archive import PARTS, Array, Slot
from lrbench.data.images import ImageData
from lrbench.data.labels import labels_of
from lrbench.data.levels import ROUNDING, UnclearError
from lrbench.data.sources import of_arrays
from lrbench.errors import UsageError, short

FILE = "data.npz"

MEANT = {
    "data_range": "give images in [0, 1], or uint8 from 0 to 255, as they were before they were normalised",
    "layout": "give images as a tensor of shape (N, C, H, W)",
}
"""What leaves no doubt, by what is in doubt: there is no key to say it here."""

LEVELS = 1e-3
"""How far from a level of 8 bits, in levels, values may lie to be called that level: rounding of float32."""


def handed_data(pairs: Mapping[str, Any], classes: list[str] | None = None) -> tuple[ImageData, list[str]]:
    """Make a data set of (x, y) pairs.

    Parameters
    ----------
    pairs : mapping
        "test", and "train" if there are training images -> (x, y), tensors or arrays. Tensors are (N, C, H, W); what
        arrays may be is said at `lrbench.data.arrays.images_of`.
    classes : list of str, optional
        What the classes are called. Default: their numbers, up to the largest label.

    Returns
    -------
    ImageData, list of str
        The data set, and what should be known of it.

    Raises
    ------
    UsageError
        If they are no images and labels, or what they mean is left open.
    """
    arrays: dict[Slot, tuple[str, Array]] = {}
    for part, pair in pairs.items():
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            msg = f"{part}: expected a pair (x, y) of images and labels, got {type(pair).__name__}"
            raise UsageError(msg)
        for kind, values in zip("xy", pair, strict=True):
            arrays[kind, part] = (f"{kind}_{part}", _array(f"{kind}_{part}", values))
            if not len(arrays[kind, part][1]):
                msg = f"{kind}_{part} is empty"
                raise UsageError(msg)
    channels_first = all(isinstance(pair[0], Tensor) for pair in pairs.values())
    largest = max(int(labels_of(*arrays["y", part]).max()) for part in pairs)
    layout = "NCHW" if channels_first else None
    try:
        data = of_arrays("data", arrays, layout=layout, classes=classes or max(2, largest + 1))
    except UnclearError as error:
        msg = f"{error.found}; {MEANT[error.what]}"
        raise UsageError(msg) from error
    return data, [line for part in pairs if (line := _understood(*arrays["x", part]))]


def save_data(data: ImageData, folder: Path) -> None:
    """Write a data set for `{name: npz, path: data.npz}`, unless the folder holds the same one."""
    arrays: dict[str, Array] = {}
    for part in PARTS:
        split = getattr(data, part)
        if len(split):
            arrays |= {f"x_{part}": split.pixels.cpu().numpy(), f"y_{part}": split.labels.cpu().numpy()}
    target = folder / FILE
    if target.is_file() and _same(target, arrays):
        return
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    unfinished = folder / f"{FILE}.unfinished"
    unfinished.write_bytes(content.getvalue())
    unfinished.replace(target)


def _same(file: Path, arrays: Mapping[str, Array]) -> bool:
    try:
        with np.load(file) as there:
            return set(there) == set(arrays) and all(np.array_equal(there[name], arrays[name]) for name in arrays)
    # What is damaged is written again.
    except Exception:  # noqa: BLE001
        return False


def _array(name: str, values: Any) -> Array:  # noqa: ANN401
    if isinstance(values, Tensor):
        if values.layout != torch.strided or values.is_meta or values.is_quantized:
            what = values.dtype if values.is_quantized else values.layout
            msg = f"{name} holds no numbers that can be read: {what} on {values.device}"
            raise UsageError(msg)
        # numpy has no bfloat16.
        values = values.float() if values.dtype == torch.bfloat16 else values
        array: Array = values.detach().cpu().numpy()
        return array
    try:
        found = np.asarray(values)
    # Of a list of tensors each may refuse in its own way.
    except (TypeError, ValueError, RuntimeError) as error:
        msg = f"{name}: expected a tensor or an array, got {type(values).__name__}: {short(error)}"
        raise UsageError(msg) from error
    if not found.ndim:
        msg = f"{name}: expected a tensor or an array, got {values!r:.60}"
        raise UsageError(msg)
    return found


def _understood(name: str, array: Array) -> str | None:
    """Say in which range floating-point images are taken to be, or how far they are from their 8 bits."""
    if array.dtype.kind != "f" or not array.size or float(array.min()) < 0:
        return None
    if (largest := float(array.max())) > 1 + ROUNDING:
        return f"{name} goes up to {largest:g}, so that 255 is white; the network is given images in [0, 1]"
    levels = array.astype(np.float64) * 255
    farthest = float(np.abs(levels - np.rint(levels)).max())
    return f"{name} was rounded to 8 bits, by up to {farthest / 255:.2g}" if farthest > LEVELS else None
