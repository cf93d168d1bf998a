"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) as torchvision stores and checks them."""

import pickle
from pathlib import Path
from typing import Any

import torch
from torchvision.datasets import CIFAR10, CIFAR100

from lrbench.catalogue import DATASETS
from lrbench.data.download import fetch, unpack
from lrbench.data.images import ImageData, Split
from lrbench.errors import UsageError


@DATASETS.register("cifar10")
def cifar10(root: Path, *, train: int | None, test: int | None, download: bool = False) -> ImageData:
    """CIFAR-10, 32x32 colour: 50,000 to train, 10,000 to test.

    In ROOT/cifar-10-batches-py.
    """
    parts = _parts(CIFAR10, "cifar10", root, download=download)
    splits = [_split(part) for part in parts]
    return ImageData("cifar10", splits[0].balanced(train), splits[1].balanced(test), tuple(parts[0].classes))


@DATASETS.register("cifar100")
def cifar100(root: Path, *, train: int | None, test: int | None, download: bool = False) -> ImageData:
    """CIFAR-100, 32x32 colour: 50,000 to train, 10,000 to test.

    With its 100 classes, in ROOT/cifar-100-python.
    """
    parts = _parts(CIFAR100, "cifar100", root, download=download)
    splits = [_split(part) for part in parts]
    return ImageData("cifar100", splits[0].balanced(train), splits[1].balanced(test), tuple(parts[0].classes))


@DATASETS.register("cifar100-coarse")
def cifar100_coarse(root: Path, *, train: int | None, test: int | None, download: bool = False) -> ImageData:
    """CIFAR-100 with its 20 superclasses as labels, its 100 classes as fine ones.

    As in the paper, section 4.1.
    """
    parts = _parts(CIFAR100, "cifar100-coarse", root, download=download)
    folder = root / CIFAR100.base_folder
    names = _checked_pickle(folder / "meta")["coarse_label_names"]
    splits = []
    for part, file in zip(parts, ("train", "test"), strict=True):
        coarse = torch.tensor(_checked_pickle(folder / file)["coarse_labels"])
        fine = _split(part)
        splits.append(Split(fine.images, coarse, fine.labels))
    return ImageData(
        "cifar100-coarse",
        splits[0].balanced(train),
        splits[1].balanced(test),
        tuple(names),
        fine_classes=tuple(parts[0].classes),
    )


def _parts(kind: type[CIFAR10], name: str, root: Path, *, download: bool) -> list[CIFAR10]:
    """Training and test set; torchvision checks every file against its checksum before it reads it."""
    try:
        return [kind(root, train=is_train) for is_train in (True, False)]
    except RuntimeError as error:
        if not download:
            msg = (
                f"no {name} in {root / kind.base_folder}, or its files are damaged; put them there, name another "
                f"folder with --data-dir, or set `data: {{name: {name}, download: true}}`"
            )
            raise UsageError(msg) from error
    fetch([kind.url], root / kind.filename, kind.tgz_md5)
    unpack(root / kind.filename, root)
    return [kind(root, train=is_train) for is_train in (True, False)]


def _split(part: CIFAR10) -> Split:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.tensor(part.targets))


def _checked_pickle(path: Path) -> dict[str, Any]:
    """Read one of the set's files, all of which torchvision has held against their published checksums."""
    with path.open("rb") as file:
        content: dict[str, Any] = pickle.load(file, encoding="latin1")  # noqa: S301
    return content
