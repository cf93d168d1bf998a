"""Data sets that come as arrays: embedded digits, Fashion-MNIST, a user's npz.

A source is a function `(root, name, train, test, **options) -> ImageData`; `root` is the data folder,
`train` and `test` are the numbers of examples to keep (None: all).
"""

import importlib.util
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrbench.data.download import fetch
from lrbench.data.images import ImageData, Split
from lrbench.errors import UsageError, short
from lrbench.files import check_archive, is_file

MAX_CLASSES = 100_000


def digits(root: Path, *, train: int | None, test: int | None) -> ImageData:  # noqa: ARG001
    """scikit-learn's 8x8 grey digits, 1,437 to train and 360 to test, classes even; levels 0..16 become 0..255."""
    levels, labels = _sklearn_digits()
    images = torch.from_numpy(np.round(levels * (255 / 16)).astype(np.uint8))[:, None]
    everything = Split(images, torch.from_numpy(labels).long())
    held_out, rest = everything.halves(360)
    return ImageData("digits", rest.balanced(train), held_out.balanced(test), tuple(str(digit) for digit in range(10)))


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


def fashion_mnist(root: Path, *, train: int | None, test: int | None, download: bool = False) -> ImageData:
    """Fashion-MNIST as torchvision stores it, in ROOT/FashionMNIST/raw."""
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


def npz(root: Path, *, train: int | None, test: int | None, path: str) -> ImageData:
    """Arrays x_train, y_train, x_test, y_test: uint8 (N, H, W), (N, H, W, C) or (N, C, H, W); integer labels.

    Raises
    ------
    UsageError
        If the file is missing or damaged, holds Python objects or a bomb, or its arrays do not fit together.
    """
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
    if count > MAX_CLASSES:
        msg = f"{file}: labels go up to {count - 1}; at most {MAX_CLASSES:,} classes, numbered from 0, are allowed"
        raise UsageError(msg)
    classes = tuple(str(label) for label in range(count))
    return ImageData(file.stem, splits[0].balanced(train), splits[1].balanced(test), classes)


def _read_npz(file: Path) -> dict[str, NDArray[np.generic]]:
    wanted = ("x_train", "y_train", "x_test", "y_test")
    check_archive(file)
    try:
        with zipfile.ZipFile(file) as archive:
            return {name: _array(archive, f"{name}.npy") for name in wanted}
    except KeyError:
        msg = f"{file} must hold the arrays {', '.join(wanted)}"
        raise UsageError(msg) from None
    # Whatever a damaged archive raises: zip, zlib and numpy each have errors of their own.
    except Exception as error:
        msg = f"cannot read {file} as an .npz of plain arrays: {short(error)}"
        raise UsageError(msg) from error


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
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
        array: NDArray[np.generic] = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _images(file: Path, name: str, array: NDArray[np.generic]) -> Tensor:
    if array.dtype != np.uint8 or array.ndim not in {3, 4} or 0 in array.shape:
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
