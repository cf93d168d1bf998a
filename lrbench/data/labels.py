"""A user's labels and what their classes are called."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.errors import UsageError, printable

Array = NDArray[Any]

MAX_CLASSES = 100_000


def labels_of(name: str, array: Array) -> Tensor:
    """Turn integers >= 0, (N,) or (N, 1), of any integer type or bool, into int64 labels (N,).

    Raises
    ------
    UsageError
        With the array's name, if it holds anything else.
    """
    fits = array.dtype.kind in "bui" and (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1))
    if not fits or (array.size and int(array.min()) < 0):
        advice = _advice(array)
        msg = f"{name} must hold integers >= 0 of shape (N,), got {array.dtype!s:.60} {array.shape}{advice}"
        raise UsageError(msg)
    if array.size and int(array.max()) >= MAX_CLASSES:
        msg = (
            f"{name}: labels go up to {int(array.max())}; at most {MAX_CLASSES:,} classes, numbered from 0, are allowed"
        )
        raise UsageError(msg)
    return torch.from_numpy(array.reshape(-1).astype(np.int64))


def _advice(array: Array) -> str:
    if array.dtype.kind in "US":
        return "; number the classes from 0 and name them by `classes: [...]`"
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "buif":
        return "; where it is one-hot, save its argmax over axis 1"
    if array.dtype.kind == "f":
        return "; where these are class numbers, save them as int64"
    return f", from {int(array.min())}" if array.size and array.dtype.kind in "bui" else ""


def class_names(labels: Mapping[str, Tensor], classes: int | Sequence[str | int] | None) -> tuple[str, ...]:
    """Name the classes: as the user does, else by their numbers from 0 to the largest label.

    Parameters
    ----------
    labels : mapping
        Array's name -> its labels; none is empty.
    classes : int or sequence of str or int, optional
        How many there are, or what they are called.

    Raises
    ------
    UsageError
        If labels are larger than these allow, there is only one class, or labels that nobody explained leave out 0 or
        most numbers.
    """
    names, present = " and ".join(labels), np.unique(torch.cat(list(labels.values())).numpy()).tolist()
    count = present[-1] + 1
    if classes is None and (present[0] > 0 or len(present) < count / 2):
        shown = ", ".join(str(label) for label in present[:6]) + (", ..." if len(present) > 6 else "")
        msg = (
            f"{names} hold the labels {shown}; number the classes from 0, or say how many there are by "
            f"`classes: {count}`"
        )
        raise UsageError(msg)
    named = _named(count if classes is None else classes)
    if count > len(named):
        msg = f"{names} hold the label {present[-1]}, but `classes` says that there are {len(named)}, numbered from 0"
        raise UsageError(msg)
    if len(named) < 2:
        msg = f"{names} hold only one class; a classifier needs two"
        raise UsageError(msg)
    return named


def _named(classes: int | Sequence[str | int]) -> tuple[str, ...]:
    if isinstance(classes, int):
        if not 1 <= classes <= MAX_CLASSES:
            msg = f"classes must be from 1 to {MAX_CLASSES:,}, or a list of names, got {classes}"
            raise UsageError(msg)
        return tuple(str(label) for label in range(classes))
    names = tuple(str(name) for name in classes)
    if len(set(names)) != len(names) or not all(name.isprintable() and name for name in names):
        shown = printable(", ".join(names))[:100]
        msg = f"classes must be different names that can be printed, got {shown}"
        raise UsageError(msg)
    return names
