"""A user's own images in folders, decoded once into memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder

from lrbench.data.images import ImageData, Split, balanced_indices
from lrbench.errors import UsageError, short
from lrbench.files import is_file

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""No others, whatever a file is called: Pillow would hand some to programs such as Ghostscript."""

MAX_PIXELS = 4096 * 4096

MODES = {1: "L", 3: "RGB"}


def image_folder(root: Path, *, train: int | None, test: int | None, path: str, channels: int = 3) -> ImageData:
    """Images in ROOT/PATH/{train,test}/CLASS/*, all of one size; `channels` 3 for colour or 1 for grey.

    Only the examples that are kept are decoded.

    Raises
    ------
    UsageError
        If a folder is missing or empty, classes differ between the splits, an image cannot be read or is larger than
        `MAX_PIXELS`, or sizes differ.
    """
    folder = root / path
    if channels not in MODES:
        msg = f"channels must be 1 or 3, got {channels}"
        raise UsageError(msg)
    splits, classes = {}, {}
    for part, count in (("train", train), ("test", test)):
        classes[part], splits[part] = _split(folder / part, count, MODES[channels])
    if classes["train"] != classes["test"]:
        odd = sorted(set(classes["train"]) ^ set(classes["test"]))
        msg = f"{folder}: train and test must have the same classes; only one of them has {', '.join(odd[:5])}"
        raise UsageError(msg)
    if splits["train"].images.shape[1:] != splits["test"].images.shape[1:]:
        msg = f"{folder}: training and test images differ in size"
        raise UsageError(msg)
    return ImageData(folder.name, splits["train"], splits["test"], tuple(classes["train"]))


def _split(folder: Path, count: int | None, mode: str) -> tuple[list[str], Split]:
    try:
        listing = ImageFolder(str(folder))
    except (OSError, ValueError) as error:
        msg = f"no images in {folder}: expected {folder}/CLASS/*.jpg or .png"
        raise UsageError(msg) from error
    paths = [path for path, _ in listing.samples]
    labels = torch.tensor(listing.targets)
    if count is not None:
        kept = balanced_indices(labels, count)
        paths, labels = [paths[int(index)] for index in kept], labels[kept]
    return listing.classes, Split(_decoded(paths, mode), labels)


def _decoded(paths: Sequence[str], mode: str) -> Tensor:
    first = _decode(paths[0], mode)
    with ThreadPoolExecutor() as pool:
        arrays = [first, *pool.map(lambda path: _decode(path, mode, first.shape[:2]), paths[1:])]
    images = torch.from_numpy(np.stack(arrays))
    return images[:, None] if mode == "L" else images.permute(0, 3, 1, 2).contiguous()


def _decode(path: str, mode: str, size: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
    """Decode an image after its header has been looked at; `size` is the (height, width) it must have."""
    if not is_file(Path(path)):
        msg = f"{path}: not a file"
        raise UsageError(msg)
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                msg = f"{path}: {image.width}x{image.height} pixels are too many; resize it"
                raise UsageError(msg)
            if size is not None and (image.height, image.width) != size:
                msg = (
                    f"{path}: images must all have one size, {size[1]}x{size[0]}, but this one has "
                    f"{image.width}x{image.height}; resize them first"
                )
                raise UsageError(msg)
            return np.asarray(image.convert(mode))
    except UsageError:
        raise
    # Decoders of damaged images raise anything: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        msg = f"{path}: not a readable image ({short(error)})"
        raise UsageError(msg) from error
