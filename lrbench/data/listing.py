"""Which classes and image files a folder holds: as torchvision's `ImageFolder` lists them, without what is none."""

import os
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from lrbench.errors import UsageError, printable

PARTS = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}
"""Names of the folders of each split; the first that is there counts."""

NO_CLASSES = {"__MACOSX", "__pycache__", "@eaDir"}
"""Folders that systems leave behind, besides those whose names begin with a dot."""

Listing = tuple[list[str], list[str], list[int]]
"""Classes; the images' paths; the number of each one's class."""


def part_folder(root: Path, part: str) -> Path:
    """Find the folder of a split.

    Raises
    ------
    UsageError
        If there is none.
    """
    for name in PARTS[part]:
        # Unlike Path.is_dir, this gives False for what can be no path at all.
        if os.path.isdir(root / name):
            return root / name
    there = _shown(sorted(_folders(root))) if os.path.isdir(root) else "no folder"
    msg = f"no images in {printable(str(root))[:200]}: expected {part}/CLASS/*.jpg or .png there, found {there}"
    raise UsageError(msg)


def listed(folder: Path) -> Listing:
    """List the images of a split by class, in torchvision's order.

    Raises
    ------
    UsageError
        With the folder's name: if it holds fewer than two classes, one without images, one whose name cannot be
        printed or a link to nowhere, or cannot be read.
    """
    where = printable(str(folder))
    try:
        classes = sorted(_folders(folder))
        found = [_images(folder / name) for name in classes]
    except OSError as error:
        msg = f"cannot read {printable(str(error.filename or folder))}: {error.strerror}"
        raise UsageError(msg) from error
    for name, paths in zip(classes, found, strict=True):
        if not name.isprintable():
            msg = f"{where}: the class folder {printable(name)} has a name that cannot be printed; rename it"
            raise UsageError(msg)
        if not paths:
            msg = f"no images in {where}/{name} ({', '.join(IMG_EXTENSIONS)}): put some there or remove the folder"
            raise UsageError(msg)
    if len(classes) < 2:
        what = f"only one class, {classes[0]}" if classes else "no class folders"
        msg = f"no images in {where} that could be told apart: expected CLASS/*.jpg or .png there, found {what}"
        raise UsageError(msg)
    labels = [label for label, paths in enumerate(found) for _ in paths]
    return classes, [path for paths in found for path in paths], labels


def _folders(root: Path) -> list[str]:
    """Names of the class folders; links to folders count, links to nowhere are refused."""
    names = []
    with os.scandir(root) as entries:
        for entry in entries:
            if _is_none(entry.name):
                continue
            if entry.is_dir():
                names.append(entry.name)
            elif entry.is_symlink() and not Path(entry.path).exists():
                msg = f"{printable(entry.path)} is a link to nowhere; mend or remove it"
                raise UsageError(msg)
    return names


def _is_none(name: str) -> bool:
    return name.startswith(".") or name in NO_CLASSES


def _images(folder: Path) -> list[str]:
    """Image files in a class folder and those below it; each folder once, however many links lead to it."""
    seen: set[str] = set()
    found = []
    for path, folders, files in os.walk(folder, onerror=_fail, followlinks=True):
        real = os.path.realpath(path)
        folders[:] = [] if real in seen else sorted(name for name in folders if not _is_none(name))
        if real not in seen:
            found.append((path, sorted(files)))
        seen.add(real)
    return [
        str(Path(path) / name)
        for path, files in sorted(found)
        for name in files
        if name.lower().endswith(IMG_EXTENSIONS) and not name.startswith(".")
    ]


def _fail(error: OSError) -> None:
    raise error


def _shown(names: list[str]) -> str:
    return ", ".join(printable(name) for name in names[:5]) or "no folders"
