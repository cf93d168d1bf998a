"""Inputs and labels as an attack, a check or a distance takes them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

Bounds = tuple[float, float]


def as_inputs(x: Any, bounds: Bounds | None, name: str = "x") -> Tensor:  # noqa: ANN401
    """Give inputs, (N, ...) floating point, inside the bounds.

    Raises
    ------
    ValueError
        If they are anything else.
    """
    if not isinstance(x, Tensor):
        msg = f"{name} must be a torch.Tensor, got {type(x).__name__}"
        raise ValueError(msg)
    if not x.is_floating_point():
        msg = f"{name} must be floating point, got {x.dtype}; scale uint8 images to [0, 1] first"
        raise ValueError(msg)
    if x.ndim < 2:
        msg = f"{name} must be a batch (N, ...) of inputs, got shape {tuple(x.shape)}"
        raise ValueError(msg)
    if x.numel() == 0:
        return x
    low, high = (value.item() for value in x.detach().aminmax())
    if not (np.isfinite(low) and np.isfinite(high)):
        msg = f"{name} holds values that are not finite"
        raise ValueError(msg)
    if bounds is not None and not (bounds[0] <= low and high <= bounds[1]):
        msg = (
            f"{name} spans [{low:.4g}, {high:.4g}], outside the attack's bounds {bounds}; "
            "pass images in that range, or bounds=None for a space without limits"
        )
        raise ValueError(msg)
    return x


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
    try:
        found = y if isinstance(y, Tensor) else torch.as_tensor(np.asarray(y))
    except (TypeError, ValueError, RuntimeError):
        msg = f"y must hold one class an input, as integers, got {type(y).__name__}"
        raise ValueError(msg) from None
    if found.numel() == 0 and not isinstance(y, Tensor):
        found = found.long()
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


def ordinary(tensor: Tensor) -> Tensor:
    """Give a tensor that autograd can keep: one that was made in inference mode is copied."""
    return tensor.clone() if tensor.is_inference() else tensor
