"""A user's own images in folders: decoded once into memory or onto disk, or whenever they are asked for."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode

from lrbench.catalogue import DATASETS
from lrbench.data.decode import Shape, decode
from lrbench.data.images import ImageData, Split, balanced_indices
from lrbench.data.listing import Listing, listed, part_folder
from lrbench.data.mapped import cache_folder, mapped
from lrbench.data.streamed import Read, Streamed
from lrbench.errors import UsageError, printable

MAX_SIDE = 4096

MODES = {1: "L", 3: "RGB"}

KEEP = ("memory", "disk", "stream")

DECODING = "as shown"
"""Part of what identifies decoded images: changes with the way they are decoded."""


@DATASETS.register("image-folder")
def image_folder(  # noqa: PLR0913 - each an option of a suite
    root: Path,
    *,
    train: int | None,
    test: int | None,
    path: str,
    channels: int = 3,
    size: int | None = None,
    resize: int | None = None,
    interpolation: str = "bilinear",
    keep: str = "memory",
) -> ImageData:
    """Your own images: ROOT/PATH/{train,test}/CLASS/*.

    In colour, or in grey with `channels` 1. Each as a viewer shows it (`lrbench.data.decode`), of the files and classes
    that `lrbench.data.listing` finds. All of one size, unless `size` is given: then the shorter side is brought to
    `resize` pixels (default: `size`) by `interpolation`, and the middle `size` x `size` are kept. Only the examples
    that are chosen are decoded: all at once into memory; with `keep: disk` once into a file in the cache folder, which
    is mapped; with `keep: stream` whenever they are asked for.

    Raises
    ------
    UsageError
        If a folder is missing or empty, classes differ between the splits, an image cannot be read, sizes differ, or an
        option is out of range.
    """
    folder = root / path
    _check_options(channels, size, resize, keep)
    _check_choice("interpolation", interpolation, [each.value for each in InterpolationMode])
    shape, where = Shape(MODES[channels], size, resize or size, interpolation), printable(str(folder))
    listings = {part: listed(part_folder(folder, part)) for part in ("train", "test")}
    classes = listings["train"][0]
    odd = sorted(set(classes) ^ set(listings["test"][0]))
    if odd:
        msg = f"{where}: train and test must have the same classes; only one of them has {', '.join(odd[:5])}"
        raise UsageError(msg)
    splits = {part: _split(listings[part], count, shape, keep) for part, count in (("train", train), ("test", test))}
    if splits["train"].images.shape[1:] != splits["test"].images.shape[1:]:
        msg = f"{where}: training and test images differ in size"
        raise UsageError(msg)
    return ImageData(folder.name, splits["train"], splits["test"], tuple(classes))


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
    _check_choice("keep", keep, KEEP)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        msg = f"{name} must be one of {', '.join(choices)}, got {value!r}"
        raise UsageError(msg)


def _split(listing: Listing, count: int | None, shape: Shape, keep: str) -> Split:
    _, paths, numbers = listing
    labels = torch.tensor(numbers)
    if count is not None:
        kept = balanced_indices(labels, count)
        paths, labels = [paths[int(index)] for index in kept], labels[kept]
    files = Files(paths, shape)
    if keep == "memory":
        return Split(files.decoded(range(len(paths))), labels)
    source: Read = files
    if keep == "disk":
        file = mapped(cache_folder() / f"decoded-{files.identity[:32]}.npy", len(paths), files.size, files.decoded)
        source = partial(_picked, file)
    everything = torch.arange(len(paths))
    return Split(Streamed(source, files.identity, everything, files.size), labels)


def _picked(images: Tensor, index: Tensor) -> Tensor:
    return images[index]


class Files:
    """Image files, decoded when asked for, all to one size."""

    def __init__(self, paths: Sequence[str], shape: Shape) -> None:
        self.paths, self.shape = paths, shape
        first = decode(paths[0], shape)
        self._sides = first.shape[:2]
        self.size = (1 if first.ndim == 2 else first.shape[2], *self._sides)

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the files' names, sizes and times, and of what is made of them."""
        digest = hashlib.sha256(f"{DECODING} {self.shape.told}".encode())
        for path in self.paths:
            try:
                status = Path(path).stat()
            except OSError as error:
                msg = f"{printable(path)}: {error.strerror}"
                raise UsageError(msg) from error
            digest.update(os.fsencode(path) + f"\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        return digest.hexdigest()

    def __call__(self, index: Tensor) -> Tensor:
        """Decode the images of these numbers: (n, C, H, W)."""
        return self.decoded(index.tolist())

    def decoded(self, numbers: Sequence[int]) -> Tensor:
        """Decode the images of these numbers, on all cores."""
        with ThreadPoolExecutor() as pool:
            arrays = list(pool.map(lambda number: decode(self.paths[number], self.shape, self._sides), numbers))
        if not arrays:
            return torch.empty(0, *self.size, dtype=torch.uint8)
        images = torch.from_numpy(np.stack(arrays))
        return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
