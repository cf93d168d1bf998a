"""A user's own images in folders: decoded once into memory or onto disk, or whenever they are asked for."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import center_crop
from torchvision.transforms.functional import resize as resized

from lrbench.data.images import ImageData, Split, balanced_indices
from lrbench.data.mapped import cache_folder, mapped
from lrbench.data.streamed import Read, Streamed
from lrbench.errors import UsageError, short
from lrbench.files import is_file

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""No others, whatever a file is called: Pillow would hand some to programs such as Ghostscript."""

MAX_PIXELS = 4096 * 4096

MAX_SIDE = 4096

MODES = {1: "L", 3: "RGB"}

KEEP = ("memory", "disk", "stream")


@dataclass(frozen=True)
class Shape:
    """What images are brought to: `mode` of Pillow; where `size` is given, the shorter side `resize`, then a square."""

    mode: str
    size: int | None = None
    resize: int | None = None


def image_folder(
    root: Path,
    *,
    train: int | None,
    test: int | None,
    path: str,
    channels: int = 3,
    size: int | None = None,
    resize: int | None = None,
    keep: str = "memory",
) -> ImageData:
    """Images in ROOT/PATH/{train,test}/CLASS/*; `channels` 3 for colour or 1 for grey.

    All of one size, unless `size` is given: then the shorter side is brought to `resize` pixels (default: `size`) and
    the middle `size` x `size` are kept. Only the examples that are chosen are decoded: all at once into memory; with
    `keep: disk` once into a file in the cache folder, which is mapped; with `keep: stream` whenever they are asked for.

    Raises
    ------
    UsageError
        If a folder is missing or empty, classes differ between the splits, an image cannot be read or is larger than
        `MAX_PIXELS`, sizes differ, or an option is out of range.
    """
    folder = root / path
    _check_options(channels, size, resize, keep)
    shape = Shape(MODES[channels], size, resize or size)
    splits, classes = {}, {}
    for part, count in (("train", train), ("test", test)):
        classes[part], splits[part] = _split(folder / part, count, shape, keep)
    if classes["train"] != classes["test"]:
        odd = sorted(set(classes["train"]) ^ set(classes["test"]))
        msg = f"{folder}: train and test must have the same classes; only one of them has {', '.join(odd[:5])}"
        raise UsageError(msg)
    if splits["train"].images.shape[1:] != splits["test"].images.shape[1:]:
        msg = f"{folder}: training and test images differ in size"
        raise UsageError(msg)
    return ImageData(folder.name, splits["train"], splits["test"], tuple(classes["train"]))


def _check_options(channels: int, size: int | None, resize: int | None, keep: str) -> None:
    if channels not in MODES:
        msg = f"channels must be 1 or 3, got {channels}"
        raise UsageError(msg)
    for name, value in (("size", size), ("resize", resize)):
        if value is not None and not (isinstance(value, int) and 1 <= value <= MAX_SIDE):
            msg = f"{name} must be from 1 to {MAX_SIDE}, got {value}"
            raise UsageError(msg)
    if resize is not None and (size is None or resize < size):
        msg = f"resize must be at least size, got {resize} and {size}"
        raise UsageError(msg)
    if keep not in KEEP:
        msg = f"keep must be one of {', '.join(KEEP)}, got {keep!r}"
        raise UsageError(msg)


def _split(folder: Path, count: int | None, shape: Shape, keep: str) -> tuple[list[str], Split]:
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
    files = Files(paths, shape)
    if keep == "memory":
        return listing.classes, Split(files.decoded(range(len(paths))), labels)
    source: Read = files
    if keep == "disk":
        file = mapped(cache_folder() / f"decoded-{files.identity[:32]}.npy", len(paths), files.size, files.decoded)
        source = partial(_picked, file)
    everything = torch.arange(len(paths))
    return listing.classes, Split(Streamed(source, files.identity, everything, files.size), labels)


def _picked(images: Tensor, index: Tensor) -> Tensor:
    return images[index]


class Files:
    """Image files, decoded when asked for, all to one size."""

    def __init__(self, paths: Sequence[str], shape: Shape) -> None:
        self.paths, self.shape = paths, shape
        first = _decode(paths[0], shape)
        self._sides = first.shape[:2]
        self.size = (1 if first.ndim == 2 else first.shape[2], *self._sides)

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the files' names, sizes and times, and of what is made of them."""
        digest = hashlib.sha256(repr(self.shape).encode())
        for path in self.paths:
            try:
                status = Path(path).stat()
            except OSError as error:
                msg = f"{path}: {error.strerror}"
                raise UsageError(msg) from error
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        return digest.hexdigest()

    def __call__(self, index: Tensor) -> Tensor:
        """Decode the images of these numbers: (n, C, H, W)."""
        return self.decoded(index.tolist())

    def decoded(self, numbers: Sequence[int]) -> Tensor:
        """Decode the images of these numbers, on all cores."""
        with ThreadPoolExecutor() as pool:
            arrays = list(pool.map(lambda number: _decode(self.paths[number], self.shape, self._sides), numbers))
        if not arrays:
            return torch.empty(0, *self.size, dtype=torch.uint8)
        images = torch.from_numpy(np.stack(arrays))
        return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()


def _decode(path: str, shape: Shape, sides: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
    """Decode an image after its header has been looked at; `sides` are the (height, width) it must come to."""
    if not is_file(Path(path)):
        msg = f"{path}: not a file"
        raise UsageError(msg)
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                msg = f"{path}: {image.width}x{image.height} pixels are too many; resize it"
                raise UsageError(msg)
            if shape.size is not None and shape.resize is not None:
                return np.asarray(_squared(image.convert(shape.mode), shape.size, shape.resize))
            if sides is not None and (image.height, image.width) != sides:
                msg = (
                    f"{path}: images must all have one size, {sides[1]}x{sides[0]}, but this one has "
                    f"{image.width}x{image.height}; resize them first, or give the data set a `size`"
                )
                raise UsageError(msg)
            return np.asarray(image.convert(shape.mode))
    except UsageError:
        raise
    # Decoders of damaged images raise anything: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        msg = f"{path}: not a readable image ({short(error)})"
        raise UsageError(msg) from error


def _squared(image: Image.Image, size: int, resize: int) -> Image.Image:
    """Bring the shorter side to `resize` and keep the middle, as torchvision's Resize and CenterCrop do."""
    squared: Image.Image = center_crop(resized(image, [resize]), [size])
    return squared
