"""Photographs that come with scikit-image and scikit-learn, in folders, and what ImageNet calls what they show."""

import shutil
from pathlib import Path

import skimage
import sklearn

LABELS = {
    "astronaut.png": "space shuttle",  # the model behind Eileen Collins
    "camera.png": "tripod",
    "chelsea.png": "tiger cat",
    "china.jpg": "palace",
    "coffee.png": "espresso",
    "flower.jpg": "daisy",
    "motorcycle_left.png": "moped",
    "rocket.jpg": "missile",
}
"""By eye. ImageNet has neither dahlias nor motorcycles nor rockets: the nearest of its classes."""

PLACES = (Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images")


def path_of(photograph: str) -> Path:
    """Where a photograph was installed."""
    return next(place / photograph for place in PLACES if (place / photograph).is_file())


def laid(folder: Path) -> dict[str, Path]:
    """Lay them out as an image folder, for training and for test; give class folder -> photograph."""
    laid_out = {name.partition(".")[0]: path_of(name) for name in LABELS}
    for part in ("train", "test"):
        for name, photograph in laid_out.items():
            (folder / part / name).mkdir(parents=True)
            shutil.copy(photograph, folder / part / name)
    return laid_out


CLASSES = {name.partition(".")[0]: label for name, label in LABELS.items()}
