"""What a function that is a data set gives, held against what it has to give: nothing later would notice."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lrbench.data.images import ImageData, Split
from lrbench.data.streamed import Streamed
from lrbench.errors import UsageError, foreign, printable, short


def loaded(
    source: Callable[..., Any],
    name: str,
    root: Path,
    options: Mapping[str, Any],
    *,
    train: int | None,
    test: int | None,
) -> ImageData:
    """Load a data set, and hold it against what it has to be.

    Parameters
    ----------
    source : callable
        `(root, *, train, test, **options) -> ImageData`.
    name : str
        What a suite calls it.
    root : Path
    options : mapping
    train, test : int or None
        How many examples to keep; None: all.

    Raises
    ------
    UsageError
        If it gives something else, or fails and is not lrbench's own.
    """
    try:
        with foreign(source, name):
            given = source(root, train=train, test=test, **options)
    except ValueError as error:
        raise UsageError(f"{printable(name)} failed: {short(error)}") from error
    return checked(given, train, test)


def checked(given: Any, train: int | None, test: int | None) -> ImageData:  # noqa: ANN401
    """Give a data set back if it is one.

    Parameters
    ----------
    given : object
        What the function returned.
    train, test : int or None
        How many examples were asked for; None: all.

    Raises
    ------
    UsageError
        If it is no `ImageData`, or its images, labels or classes are not what these have to be.
    """
    if not isinstance(given, ImageData):
        msg = f"gave {_kind(given)}, not a lrbench.data.ImageData"
        raise UsageError(msg)
    classes = given.classes
    if not isinstance(classes, tuple | list) or not all(isinstance(name, str) for name in classes):
        msg = f"classes must be names, a tuple of str, not {_kind(classes)}"
        raise UsageError(msg)
    if len(classes) < 2 or len(set(classes)) < len(classes):
        twice = ", ".join(printable(name) for name, count in Counter(classes).items() if count > 1)
        msg = f"has the class {twice} twice" if twice else f"has {len(classes)} class, and two are the least"
        raise UsageError(msg)
    fine = given.fine_classes
    if not isinstance(fine, tuple | list) or not all(isinstance(name, str) for name in fine):
        msg = f"fine_classes must be names, a tuple of str, not {_kind(fine)}"
        raise UsageError(msg)
    for name, split, count in (("train", given.train, train), ("test", given.test, test)):
        _check(name, split, len(classes), count)
        _check_fine(name, split, len(fine))
    if not len(given.test):
        msg = "has no test images, and nothing can be measured without"
        raise UsageError(msg)
    shapes = [tuple(split.images.shape[1:]) for split in (given.train, given.test) if len(split)]
    if len(set(shapes)) > 1:
        msg = f"training images are (C, H, W) = {shapes[0]}, and test images {shapes[1]}"
        raise UsageError(msg)
    return given


def _check(name: str, split: Any, classes: int, count: int | None) -> None:  # noqa: ANN401
    if not isinstance(split, Split):
        msg = f"{name} is {_kind(split)}, not a lrbench.data.Split"
        raise UsageError(msg)
    _check_images(name, split.images)
    _check_labels(f"{name} labels", split.labels, classes)
    if len(split.images) != len(split.labels):
        msg = f"{name} has {len(split.images)} images and {len(split.labels)} labels"
        raise UsageError(msg)
    if count is not None and len(split) != count:
        keeps = f"`Split(...).balanced({name})` keeps so many"
        msg = f"gave {len(split)} examples as {name}, where {count} are asked for; {keeps}"
        raise UsageError(msg)


def _check_images(name: str, images: Any) -> None:  # noqa: ANN401
    if not isinstance(images, Tensor | Streamed):
        msg = f"{name} images are {_kind(images)}; expected a tensor, uint8 (N, C, H, W)"
        raise UsageError(msg)
    if isinstance(images, Tensor) and (images.dtype != torch.uint8 or images.ndim != 4):
        msg = f"{name} images are {_tensor(images)}; expected uint8, (N, C, H, W), 0 black and 255 white"
        raise UsageError(msg)
    _check_readable(f"{name} images", images)
    if 0 in images.shape[1:]:
        msg = f"{name} images are (C, H, W) = {tuple(images.shape[1:])}: of no size"
        raise UsageError(msg)


def _check_fine(name: str, split: Split, classes: int) -> None:
    if split.fine is None:
        if classes and len(split):
            msg = f"has fine_classes, and no fine labels of {name}; `Split(images, labels, fine)` takes them"
            raise UsageError(msg)
        return
    if not classes:
        msg = f"has fine labels of {name}, and no names for them; `ImageData(..., fine_classes=...)` takes them"
        raise UsageError(msg)
    _check_labels(f"fine {name} labels", split.fine, classes)
    if len(split.fine) != len(split.labels):
        msg = f"{name} has {len(split.labels)} labels and {len(split.fine)} fine ones"
        raise UsageError(msg)


def _check_labels(what: str, labels: Any, classes: int) -> None:  # noqa: ANN401
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.ndim != 1:
        given = _tensor(labels) if isinstance(labels, Tensor) else _kind(labels)
        msg = f"{what} are {given}; expected an int64 tensor, (N,)"
        raise UsageError(msg)
    _check_readable(what, labels)
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        low, high = int(labels.min()), int(labels.max())
        msg = f"{what} are {low} to {high}, where the {classes} classes are 0 to {classes - 1}"
        raise UsageError(msg)


def _check_readable(what: str, values: Tensor | Streamed) -> None:
    if isinstance(values, Tensor) and (values.is_meta or values.layout != torch.strided):
        msg = f"{what} hold no numbers that can be read: {values.layout} on {values.device}"
        raise UsageError(msg)


def _tensor(values: Tensor) -> str:
    return f"{str(values.dtype).removeprefix('torch.')} of shape {tuple(values.shape)}"


def _kind(value: Any) -> str:  # noqa: ANN401
    return "nothing" if value is None else f"something of type {type(value).__name__}"
