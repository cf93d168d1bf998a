"""cifar10-jpeg, on which boards of that name were made, from CIFAR-10: every image encoded once as JPEG, a lossy copy.

    python -m benchmarks.cifar10_jpeg DATA_DIR     # 170 MB are downloaded where DATA_DIR has no CIFAR-10

Writes DATA_DIR/cifar10-jpeg/{train,test}/CLASS/NNNN.jpg, numbered in CIFAR-10's order, unless there is such a folder,
and says whether they are the boards' images. How those were made is read off their headers, which are Pillow's at its
default quality (75), colour at half the resolution; the originals were not at hand to compare, and another libjpeg may
round otherwise.
"""

import argparse
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from torchvision.datasets import CIFAR10

NAME = "cifar10-jpeg"
QUALITY = 75
SPLITS = {"train": True, "test": False}
MEANT = {"train": 50_000, "test": 10_000}
CONTENT = {
    "train": "bade6e3f783105d7f2d927db8819b7537e8bef09fce03893cca9b677739d61d1",
    "test": "61ae4a306a6564efd914017629beaa346388655829dd85d5571dce084dbaf322",
}
"""Of the boards' images, by `content`."""
NAMED = {
    "train": "ca2c792b942afd844afe7866c9e7d4ade2982f962131de64cfb5e9fadb01abae",
    "test": "3c1a2162c867a24685c982cde4eab88d6ed697dd8303761e06fd1a30413e3495",
}
"""The same by `content` with names: what the images of a subset, and their order in a training, depend on."""


def write(root: Path) -> None:
    """Encode CIFAR-10 in a folder, downloaded if it is not there, into `cifar10-jpeg` beside it: all or nothing."""
    with TemporaryDirectory(dir=root, prefix="cifar10-jpeg.") as half:
        for split, train in SPLITS.items():
            data = CIFAR10(root, train=train, download=True)
            numbers = Counter[int]()
            for pixels, label in zip(data.data, data.targets, strict=True):
                place = Path(half) / NAME / split / data.classes[label]
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(place / f"{numbers[label]:04}.jpg", quality=QUALITY)
                numbers[label] += 1
        (Path(half) / NAME).rename(root / NAME)


def content(folder: Path, *, named: bool) -> str:
    """Give the SHA-256 of a split's files of any kind, with their classes, by name or whatever they are called."""
    files = (path for path in folder.rglob("*") if path.is_file())
    where = ((path, path.relative_to(folder) if named else path.parent.relative_to(folder)) for path in files)
    lines = [(place.as_posix(), sha256(path.read_bytes()).hexdigest()) for path, place in where]
    return sha256("\n".join(map(" ".join, sorted(lines))).encode()).hexdigest()


def compared(folder: Path, split: str) -> str:
    """Say whether the files of a split are the boards'."""
    if content(folder, named=True) == NAMED[split]:
        return "the boards' images, by the same names"
    if content(folder, named=False) == CONTENT[split]:
        return "the boards' images, by other names: trainings draw them in another order, and subsets are others"
    return f"not the boards' images to the bit, or not these {MEANT[split]:,} alone: do not compare figures"


def main(arguments: list[str] | None = None) -> None:
    """Write the images if there are none, and hold what is there against the boards'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="DATA_DIR")
    root = parser.parse_args(arguments).root
    if (root / NAME).exists():
        sys.stdout.write(f"{root / NAME} is there already; nothing is written\n")
    else:
        try:
            root.mkdir(parents=True, exist_ok=True)
            write(root)
        except (OSError, RuntimeError) as error:  # torchvision gives the second for a file that is damaged
            sys.exit(f"cannot make {root / NAME} ({error}); CIFAR-10 is {CIFAR10.url}, to be put into {root}")
    for split in SPLITS:
        sys.stdout.write(f"{root / NAME / split}: {compared(root / NAME / split, split)}\n")


if __name__ == "__main__":
    main()
