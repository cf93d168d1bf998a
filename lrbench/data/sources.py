"""Data sets that come as arrays: embedded digits, Fashion-MNIST, a user's npz.

A source is a function `(root, name, train, test, **options) -> ImageData`; `root` is the data folder,
`train` and `test` are the numbers of examples to keep (None: all).
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.data.download import fetch
from lrbench.data.images import ImageData, Split
from lrbench.errors import UsageError


def digits(root: Path, *, train: int | None, test: int | None) -> ImageData:  # noqa: ARG001
    """scikit-learn's 8x8 grey digits, 1,437 to train and 360 to test, classes even; levels 0..16 become 0..255."""
    from sklearn.datasets import load_digits  # noqa: PLC0415

    bunch = load_digits()
    images = torch.from_numpy(np.round(bunch.images * (255 / 16)).astype(np.uint8))[:, None]
    everything = Split(images, torch.from_numpy(bunch.target).long())
    held_out, rest = everything.halves(360)
    return ImageData("digits", rest.balanced(train), held_out.balanced(test), tuple(str(digit) for digit in range(10)))


def fashion_mnist(root: Path, *, train: int | None, test: int | None, download: bool = False) -> ImageData:
    """Fashion-MNIST as torchvision stores it, in ROOT/FashionMNIST/raw."""
    from torchvision.datasets import FashionMNIST  # noqa: PLC0415

    if download:
        for name, md5 in FashionMNIST.resources:
            raw = root / "FashionMNIST" / "raw"
            if not (raw / name.removesuffix(".gz")).is_file():
                fetch([mirror + name for mirror in FashionMNIST.mirrors], raw / name, md5)
    try:
        # With every archive there, `download` unpacks them.
        parts = [FashionMNIST(root, train=is_train, download=download) for is_train in (True, False)]
    except RuntimeError as error:
        msg = (
            f"no Fashion-MNIST in {root / 'FashionMNIST' / 'raw'}; put its four files there, name another folder "
            "with --data-dir, or set `data: {name: fashion-mnist, download: true}`"
        )
        raise UsageError(msg) from error
    splits = [Split(part.data[:, None], part.targets) for part in parts]
    return ImageData("fashion-mnist", splits[0].balanced(train), splits[1].balanced(test), tuple(parts[0].classes))


def npz(root: Path, *, train: int | None, test: int | None, path: str) -> ImageData:
    """Arrays x_train, y_train, x_test, y_test: uint8 (N, H, W), (N, H, W, C) or (N, C, H, W); integer labels."""
    file = root / path
    arrays = _read_npz(file)
    splits = [
        Split(_images(file, f"x_{part}", arrays[f"x_{part}"]), _labels(file, f"y_{part}", arrays[f"y_{part}"]))
        for part in ("train", "test")
    ]
    for part, split in zip(("train", "test"), splits, strict=True):
        if len(split.images) != len(split.labels) or not len(split):
            msg = f"{file}: x_{part} holds {len(split.images)} images and y_{part} {len(split.labels)} labels"
            raise UsageError(msg)
    if splits[0].images.shape[1:] != splits[1].images.shape[1:]:
        msg = f"{file}: training and test images differ in shape"
        raise UsageError(msg)
    count = int(torch.cat([split.labels for split in splits]).max()) + 1
    classes = tuple(str(label) for label in range(count))
    return ImageData(file.stem, splits[0].balanced(train), splits[1].balanced(test), classes)


def _read_npz(file: Path) -> dict[str, NDArray[np.generic]]:
    wanted = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in wanted}
    except KeyError:
        msg = f"{file} must hold the arrays {', '.join(wanted)}"
        raise UsageError(msg) from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        msg = f"cannot read {file} as an .npz of plain arrays: {error}"
        raise UsageError(msg) from error


def _images(file: Path, name: str, array: NDArray[np.generic]) -> Tensor:
    if array.dtype != np.uint8 or array.ndim not in {3, 4}:
        shapes = "(N, H, W), (N, H, W, C) or (N, C, H, W)"
        msg = f"{file}: {name} must be uint8 of shape {shapes}, got {array.dtype} {array.shape}"
        raise UsageError(msg)
    images = torch.from_numpy(array)
    if images.ndim == 3:
        return images[:, None]
    channels_last = images.shape[3] in {1, 3} and images.shape[1] not in {1, 3}
    return images.permute(0, 3, 1, 2).contiguous() if channels_last else images


def _labels(file: Path, name: str, array: NDArray[np.generic]) -> Tensor:
    if not np.issubdtype(array.dtype, np.integer) or array.ndim != 1 or (array.size and int(array.min()) < 0):
        msg = f"{file}: {name} must hold integers >= 0 of shape (N,), got {array.dtype} {array.shape}"
        raise UsageError(msg)
    return torch.from_numpy(array.astype(np.int64))
