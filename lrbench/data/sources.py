"""Data sets that come as arrays: embedded digits, Fashion-MNIST, a user's npz.

A source is a function `(root, *, train, test, **options) -> ImageData`; `root` is the data folder,
`train` and `test` are the numbers of examples to keep (None: all).
"""

import importlib.util
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lrbench.catalogue import DATASETS
from lrbench.data.archive import PARTS, Array, Slot, read_npz
from lrbench.data.arrays import images_of
from lrbench.data.download import fetch
from lrbench.data.images import ImageData, Split
from lrbench.data.labels import class_names, labels_of
from lrbench.errors import UsageError, printable, short
from lrbench.files import is_file


@DATASETS.register("digits")
def digits(root: Path, *, train: int | None, test: int | None) -> ImageData:  # noqa: ARG001
    """scikit-learn's 8x8 grey digits, embedded: 1,437 to train, 360 to test.

    Classes are even; levels 0..16 become 0..255.
    """
    levels, labels = _sklearn_digits()
    images = torch.from_numpy(np.round(levels * (255 / 16)).astype(np.uint8))[:, None]
    everything = Split(images, torch.tensor(labels))
    held_out, rest = everything.halves(360)
    return ImageData("digits", rest.balanced(train), held_out.balanced(test), tuple(str(digit) for digit in range(10)))


@cache
def _sklearn_digits() -> tuple[NDArray[Any], NDArray[Any]]:
    """Give images (N, 8, 8) and labels, from the file that scikit-learn ships: importing it takes a second."""
    spec = importlib.util.find_spec("sklearn")
    file = Path(str(spec.origin if spec else "")).parent / "datasets" / "data" / "digits.csv.gz"
    if is_file(file):
        table = np.loadtxt(file, delimiter=",")
        return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits  # noqa: PLC0415

    bunch = load_digits()
    return bunch.images, bunch.target


@DATASETS.register("fashion-mnist")
def fashion_mnist(root: Path, *, train: int | None, test: int | None, download: bool = False) -> ImageData:
    """Fashion-MNIST, 28x28 grey: 60,000 to train, 10,000 to test.

    As torchvision stores it, in ROOT/FashionMNIST/raw.
    """
    from torchvision.datasets import FashionMNIST  # noqa: PLC0415

    raw = root / "FashionMNIST" / "raw"
    advice = (
        "put its four files there, name another folder with --data-dir, or set "
        "`data: {name: fashion-mnist, download: true}`"
    )
    files = {name: raw / name.removesuffix(".gz") for name, _ in FashionMNIST.resources}
    if download:
        for name, md5 in FashionMNIST.resources:
            if not files[name].is_file():
                fetch([mirror + name for mirror in FashionMNIST.mirrors], raw / name, md5)
    elif not all(is_file(file) for file in files.values()):
        msg = f"no Fashion-MNIST in {raw}; {advice}"
        raise UsageError(msg)
    try:
        # With every archive there, `download` unpacks them.
        parts = [FashionMNIST(root, train=is_train, download=download) for is_train in (True, False)]
    # torchvision reads these files without a checksum, and what a damaged one raises is anybody's guess.
    except Exception as error:
        msg = f"the files in {raw} are damaged ({short(error)}); {advice}"
        raise UsageError(msg) from error
    for part in parts:
        if part.data.shape[1:] != (28, 28) or len(part.data) != len(part.targets) or int(part.targets.max()) > 9:
            msg = f"the files in {raw} do not belong together; {advice}"
            raise UsageError(msg)
    splits = [Split(part.data[:, None], part.targets) for part in parts]
    return ImageData("fashion-mnist", splits[0].balanced(train), splits[1].balanced(test), tuple(parts[0].classes))


@DATASETS.register("npz")
def npz(
    root: Path,
    *,
    train: int | None,
    test: int | None,
    path: str,
    layout: str | None = None,
    data_range: list[float] | None = None,
    classes: int | list[str | int] | None = None,
) -> ImageData:
    """Your own arrays in one .npz file: x_train, y_train, x_test and y_test, or train_images, train_labels and so on.

    In ROOT/`path`; networks that come trained need no x_train and y_train. Labels are integers. Images are (N, H, W),
    (N, H, W, C) or (N, C, H, W), uint8 of 0..255, bool, or other numbers whose range is plain; `layout` ("NHWC" or
    "NCHW") and `data_range` ([black, white]) say what shape and values do not. `classes` is their number, or their
    names; default: as many as the largest label says.

    Raises
    ------
    UsageError
        If the file is missing or damaged, holds Python objects or a bomb, its arrays do not fit together, or what they
        mean is left open.
    """
    file = root / path
    arrays = read_npz(file)
    try:
        return of_arrays(file.stem, arrays, train, test, layout=layout, data_range=data_range, classes=classes)
    except UsageError as error:
        msg = f"{printable(str(file))}: {error}"
        raise UsageError(msg) from error


def of_arrays(
    name: str,
    arrays: Mapping[Slot, tuple[str, Array]],
    train: int | None = None,
    test: int | None = None,
    *,
    layout: str | None = None,
    data_range: list[float] | None = None,
    classes: int | Sequence[str | int] | None = None,
) -> ImageData:
    """Make a data set of arrays; their options as those of `npz`.

    Parameters
    ----------
    name : str
    arrays : mapping
        ("x" or "y", "train" or "test") -> what the array is called, and the array. Those to train on may be missing.
    train, test : int, optional
        Examples to keep.

    Raises
    ------
    UsageError
        If they do not fit together, or what they mean is left open.
    """
    there = [part for part in PARTS if ("x", part) in arrays]
    pixels = images_of(dict(arrays["x", part] for part in there), layout, data_range)
    labels = {called: labels_of(called, array) for called, array in (arrays["y", part] for part in there)}
    for part, images, (called, each) in zip(there, pixels, labels.items(), strict=True):
        if len(images) != len(each):
            msg = f"{arrays['x', part][0]} holds {len(images)} images and {called} {len(each)} labels"
            raise UsageError(msg)
    names = class_names(labels, classes)
    *trained, tested = (Split(*each) for each in zip(pixels, labels.values(), strict=True))
    return ImageData(name, (trained or [tested[:0]])[0].balanced(train), tested.balanced(test), names)
