"""Inputs and labels as an attack, a check or a distance takes them."""

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

Bounds = tuple[float, float]

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Of inputs; torch computes with these."""


LARGEST = torch.iinfo(torch.int64).max


def as_inputs(x: Any, bounds: Bounds | None, name: str = "x") -> Tensor:  # noqa: ANN401
    """Give inputs, (N, ...) floating point, inside the bounds to two units in the last place.

    Raises
    ------
    ValueError
        If they are anything else.
    """
    if not isinstance(x, Tensor):
        msg = f"{name} must be a torch.Tensor, got {type(x).__name__}"
        raise ValueError(msg)
    _there(x, name)
    if x.dtype not in DTYPES:
        kinds = ", ".join(str(each).removeprefix("torch.") for each in DTYPES)
        scaled = "" if x.is_floating_point() else "; scale uint8 images to [0, 1] first"
        msg = f"{name} must be floating point ({kinds}), got {x.dtype}{scaled}"
        raise ValueError(msg)
    if x.ndim < 2:
        msg = f"{name} must be a batch (N, ...) of inputs, got shape {tuple(x.shape)}"
        raise ValueError(msg)
    if not len(x):
        return x
    if not x.numel():
        msg = f"{name} must hold inputs that are not empty, got shape {tuple(x.shape)}"
        raise ValueError(msg)
    low, high = (value.item() for value in x.detach().aminmax())
    if not (np.isfinite(low) and np.isfinite(high)):
        msg = f"{name} holds values that are not finite"
        raise ValueError(msg)
    slack = 0.0 if bounds is None else 2 * torch.finfo(x.dtype).eps * max(map(abs, bounds))
    if bounds is not None and not (bounds[0] - slack <= low and high <= bounds[1] + slack):
        msg = (
            f"{name} spans [{low:.4g}, {high:.4g}], outside the attack's bounds {bounds}; "
            "pass images in that range, or bounds=None for a space without limits"
        )
        raise ValueError(msg)
    return x


def clipped(x: Tensor, bounds: Bounds | None) -> Tensor:
    """Bring every entry into the bounds, in the numbers that its dtype has."""
    return x if bounds is None else x.clamp(*rounded_inward(bounds, x.dtype))


@cache
def rounded_inward(bounds: Bounds, dtype: torch.dtype) -> Bounds:
    """Give the lowest and the highest number of a dtype that lie inside the bounds."""
    found = []
    for bound, inward in zip(bounds, (torch.inf, -torch.inf), strict=True):
        nearest = torch.tensor(bound, dtype=dtype, device="cpu")
        beyond = float(nearest) < bound if inward > 0 else float(nearest) > bound
        found.append(float(torch.nextafter(nearest, torch.full_like(nearest, inward)) if beyond else nearest))
    return found[0], found[1]


def check_range(x: Tensor, eps: float, bounds: Bounds | None) -> None:
    """Raise ValueError for a radius or bounds whose squares are infinite in the inputs' dtype."""
    largest = math.sqrt(torch.finfo(x.dtype).max)
    for name, value in {"eps": eps, "bounds": max(map(abs, bounds or (0.0,)))}.items():
        if value > largest:
            kind = str(x.dtype).removeprefix("torch.")
            msg = f"{name} must be at most {largest:.3g} for inputs x of {kind}, got {value:.3g}"
            raise ValueError(msg)


def as_labels(y: Any, x: Tensor, classes: int | None = None) -> Tensor:  # noqa: ANN401
    """Give labels as int64, (N,), on the inputs' device.

    Integers of any dtype, numpy's, and lists of them are taken, and (N, 1).

    Parameters
    ----------
    y
        One class an input.
    x : Tensor, (N, ...)
    classes : int, optional
        That there are; labels are then held to be 0 to classes - 1.

    Raises
    ------
    ValueError
        If they are anything else.
    """
    found = y if isinstance(y, Tensor) else _read(y)
    _there(found, "y")
    if found.shape == (len(x), 1):
        found = found[:, 0]
    if found.shape != x.shape[:1]:
        one_hot = "; of one-hot labels take y.argmax(1)" if found.ndim == 2 and len(found) == len(x) else ""
        msg = f"y must hold one label per example: expected shape ({len(x)},), got {tuple(found.shape)}{one_hot}"
        raise ValueError(msg)
    if found.is_floating_point() or found.is_complex():
        msg = f"y must hold classes as integers, got {found.dtype}"
        raise ValueError(msg)
    found = found.to(x.device, torch.int64)
    if not len(found):
        return found
    low, high = (int(value) for value in found.aminmax())
    if low < 0 or (classes is not None and high >= classes):
        top = "" if classes is None else f" to {classes - 1}, for the model has {classes} classes"
        msg = f"y must hold classes from 0{top}; it holds {low if low < 0 else high}"
        raise ValueError(msg)
    return found


def _read(y: Any) -> Tensor:  # noqa: ANN401
    """Give what numpy makes of labels, integers of any kind as int64."""
    try:
        found = np.asarray(y)
        if found.dtype.kind == "u":
            found = found.clip(max=found.dtype.type(min(LARGEST, np.iinfo(found.dtype).max)))
        # Copied as it is, so that neither torch's default device nor numpy's byte order and strides matter.
        return torch.from_numpy(found.astype(np.int64 if found.dtype.kind in "bui" or not found.size else found.dtype))
    except (TypeError, ValueError, RuntimeError):
        msg = f"y must hold one class an input, as integers, got {type(y).__name__}"
        raise ValueError(msg) from None


def _there(tensor: Tensor, name: str) -> None:
    """Raise ValueError for a tensor that has no values in memory, one after the other."""
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_nested:
        what = "on the meta device" if tensor.is_meta else "nested" if tensor.is_nested else str(tensor.layout)
        msg = f"{name} must be a dense tensor of values, got one that is {what}"
        raise ValueError(msg)


def ordinary(tensor: Tensor) -> Tensor:
    """Give a tensor that autograd can keep: one that was made in inference mode is copied."""
    return tensor.clone() if tensor.is_inference() else tensor
