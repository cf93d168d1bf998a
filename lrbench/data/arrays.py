"""A user's arrays as images: the layout is known or asked for, never guessed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.data.levels import UnclearError, eight_bits, range_of
from lrbench.errors import UsageError, nearest

Array = NDArray[Any]

CHANNELS = {1, 3, 4}
"""Numbers of channels that tell which axis is theirs: grey, colour, colour and one more."""

LAYOUTS = {
    "NHWC": "NHWC",
    "HWC": "NHWC",
    "CHANNELS_LAST": "NHWC",
    "NCHW": "NCHW",
    "CHW": "NCHW",
    "CHANNELS_FIRST": "NCHW",
}


def images_of(
    arrays: Mapping[str, Array], layout: str | None = None, data_range: Sequence[float] | None = None
) -> list[Tensor]:
    """Turn arrays of images into uint8 tensors (N, C, H, W).

    Parameters
    ----------
    arrays : mapping
        Name -> (N, H, W), (N, H, W, C) or (N, C, H, W) of numbers or bool; all of one type and one shape but for N.
    layout : str, optional
        "NHWC" or "NCHW". Default: what the shape says, where it says it.
    data_range : sequence of two floats, optional
        Values that stand for black and white. Default: what type and values say, where they say it.

    Raises
    ------
    UsageError
        With the array's name: if it holds what can be no image, or layout or range are left open.
    """
    for name, array in arrays.items():
        if array.ndim not in {3, 4} or 0 in array.shape or array.dtype.kind not in "buif":
            shapes = "(N, H, W), (N, H, W, C) or (N, C, H, W)"
            msg = f"{name} must be uint8 or other numbers of shape {shapes}, got {array.dtype!s:.60} {array.shape}"
            raise UsageError(msg)
    (first, array), *others = arrays.items()
    for name, other in others:
        if other.dtype != array.dtype:
            msg = f"{first} must be {other.dtype}, as {name} is, or that {array.dtype}: save both alike"
            raise UsageError(msg)
        if other.shape[1:] != array.shape[1:]:
            msg = f"training and test images differ in shape: {first} has {array.shape}, {name} {other.shape}"
            raise UsageError(msg)
    arranged = layout_of(first, array.shape, layout)
    low, high = range_of(arrays, data_range)
    return [_arranged(eight_bits(each, low, high), arranged) for each in arrays.values()]


def layout_of(name: str, shape: tuple[int, ...], layout: str | None = None) -> str:
    """Say which layout images have: "NHW", "NHWC" or "NCHW".

    Raises
    ------
    UsageError
        If the shape leaves it open and `layout` does not say it, or that is none.
    """
    if layout is not None and layout.upper() not in LAYOUTS:
        msg = f"unknown layout {layout!r:.60}; {nearest(layout.upper(), ('NHWC', 'NCHW'))}"
        raise UsageError(msg)
    if len(shape) == 3:
        return "NHW"
    if layout is not None:
        return LAYOUTS[layout.upper()]
    last, first = shape[3] in CHANNELS, shape[1] in CHANNELS
    if last == first and shape[1:] != (1, 1, 1):
        found = f"{name} has the shape {shape}, which does not say where its channels are"
        raise UnclearError(found, "layout", "set `layout: NHWC` (last) or `layout: NCHW` (first)")
    return "NHWC" if last else "NCHW"


def _arranged(pixels: NDArray[np.uint8], layout: str) -> Tensor:
    images = torch.from_numpy(pixels)
    if layout == "NHW":
        return images[:, None]
    return images.permute(0, 3, 1, 2).contiguous() if layout == "NHWC" else images.contiguous()
