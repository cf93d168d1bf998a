"""Common corruptions: the families of CIFAR-10-C and ImageNet-C, applied to any test images.

Source: Hendrycks and Dietterich, *Benchmarking neural network robustness to common corruptions and perturbations*,
2019.
The corruptions are those of the package imagecorruptions-imaug, with ImageNet-C's parameters at any image size; the
published CIFAR-10-C files use milder ones for 32x32, so that figures on them are not to be compared with these.
"""

import hashlib
import importlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

FAMILIES = (
    "gaussian_noise", "shot_noise", "impulse_noise",
    "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness",
    "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")

SMALLEST = 32
"""Side below which the package refuses an image."""


def load_corrupt() -> Callable[..., Any]:
    """Import the package's function.

    Raises
    ------
    ImportError
        With what to install.
    """
    try:
        corrupt: Callable[..., Any] = importlib.import_module("imagecorruptions").corrupt
    except ImportError as error:
        msg = (
            f"common corruptions need `pip install 'lrbench[corruptions]'` ({error}); on a machine without a display "
            "also `pip install opencv-python-headless`"
        )
        raise ImportError(msg) from None
    return corrupt


def corrupted(images: Tensor, family: str, severity: int, seed: int = 0) -> Tensor:
    """Corrupt images.

    Parameters
    ----------
    images : Tensor, (N, C, H, W), uint8
        Grey (C = 1) or RGB (C = 3); grey ones are corrupted as RGB and averaged. Sides of 32 or more.
    family : str
        One of `FAMILIES` or `EXTRA`.
    severity : int, 1 to 5
    seed : int
        What an image meets depends on it and on the image alone.

    Returns
    -------
    Tensor, uint8
        Of the same shape and device.

    Raises
    ------
    ImportError
        If the package is not installed.
    ValueError
        If images are too small or not grey or RGB.
    """
    if images.shape[1] not in {1, 3} or min(images.shape[2:]) < SMALLEST:
        shape = "x".join(str(side) for side in images.shape[1:])
        msg = f"common corruptions take grey or RGB images of {SMALLEST}x{SMALLEST} or more, got {shape}"
        raise ValueError(msg)
    corrupt = load_corrupt()
    grey = images.shape[1] == 1
    rows = images.cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()
    found = []
    for row in rows:
        digest = hashlib.blake2b(row.tobytes(), digest_size=4, key=f"{seed}/{family}/{severity}".encode()).digest()
        with _seeded(int.from_bytes(digest, "big")):
            found.append(np.asarray(corrupt(row, corruption_name=family, severity=severity), dtype=np.uint8))
    stacked = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)
    if grey:
        stacked = stacked.float().mean(dim=1, keepdim=True).round().to(torch.uint8)
    return stacked.to(images.device)


@contextmanager
def _seeded(number: int) -> Iterator[None]:
    """Seed all generators that the package draws from: Python's, numpy's global and fresh ones, and numba's."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    fresh = np.random.default_rng
    np.random.default_rng = lambda seed=None: fresh(number if seed is None else seed)
    try:
        random.seed(number)
        np.random.seed(number)  # noqa: NPY002
        _numba_seed()(number)
        yield
    finally:
        np.random.default_rng = fresh
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


@cache
def _numba_seed() -> Callable[[int], None]:
    """Give a compiled function, which alone reaches the generator of compiled code."""

    def seed_it(seed: int) -> None:
        np.random.seed(seed)  # noqa: NPY002

    compiled: Callable[[int], None] = importlib.import_module("numba").njit(seed_it)
    return compiled
