"""cifar10-jpeg, on which boards of that name were made, from CIFAR-10: every image encoded once as JPEG, a lossy copy.

    python -m benchmarks.cifar10_jpeg DATA_DIR     # 170 MB are downloaded where DATA_DIR has no CIFAR-10

Writes DATA_DIR/cifar10-jpeg/{train,test}/CLASS/NNNN.jpg, numbered in CIFAR-10's order, and says whether they are the
boards' images. How those were made is read off their headers, which are Pillow's at its default quality (75), colour
at half the resolution; the originals were not at hand to compare, and another libjpeg may round otherwise.
"""

import argparse
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

from PIL import Image
from torchvision.datasets import CIFAR10

QUALITY = 75
SPLITS = {"train": True, "test": False}
CONTENT = {
    "train": "cb71fe3d2b9bb216c41b02b41166f328781fb1a60be9a703913edf94a172d2a1",
    "test": "8fa50d03cfc6fdfea60cb03b1044761e34d0ef03bee68bc23ce4cf402400c8d1",
}
"""Of the boards' images, by `content`."""
NAMED = {
    "train": "cec6b99d6d562cea8fb4610cfdbca106e770d314e6125aec6c6bb93ce0e6b005",
    "test": "06ef33e826a8873a00ea0ec90b1624e83af720e03908c23baa7e1e4792ff8f18",
}
"""The same by `content` with names: what the images of a subset, and their order in a training, depend on."""


def write(root: Path) -> None:
    """Encode CIFAR-10 in a folder, downloaded if it is not there, into `cifar10-jpeg` beside it."""
    for split, train in SPLITS.items():
        data = CIFAR10(root, train=train, download=True)
        numbers = Counter[int]()
        for pixels, label in zip(data.data, data.targets, strict=True):
            place = root / "cifar10-jpeg" / split / data.classes[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{numbers[label]:04}.jpg", quality=QUALITY)
            numbers[label] += 1


def content(folder: Path, *, named: bool) -> str:
    """Give the SHA-256 of a split's files with their classes, in the order of their names or in none."""
    files = sorted(folder.glob("*/*.jpg"))
    lines = [(path.parent.name, path.name if named else "", sha256(path.read_bytes()).hexdigest()) for path in files]
    return sha256("\n".join(map(" ".join, sorted(lines))).encode()).hexdigest()


def compared(folder: Path, split: str) -> str:
    """Say whether the files of a split are the boards'."""
    if content(folder, named=True) == NAMED[split]:
        return "the boards' images, by the same names"
    if content(folder, named=False) == CONTENT[split]:
        return "the boards' images, by other names: trainings draw them in another order, and subsets are others"
    return "not the boards' images to the bit: expect their figures within what other trainings give"


def main(arguments: list[str] | None = None) -> None:
    """Write the images, and hold them against the boards'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="DATA_DIR")
    root = parser.parse_args(arguments).root
    write(root)
    for split in SPLITS:
        sys.stdout.write(f"{root / 'cifar10-jpeg' / split}: {compared(root / 'cifar10-jpeg' / split, split)}\n")


if __name__ == "__main__":
    main()
