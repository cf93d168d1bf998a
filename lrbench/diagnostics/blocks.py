"""Matrices that are read block by block, so that they need not fit into memory."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

ROWS = 2048


class StoredMatrix:
    """A float32 or float64 matrix in a `.npy` file, read in blocks and never mapped or loaded as a whole.

    Parameters
    ----------
    path : str or Path
        As `numpy.save` wrote it, rows contiguous.

    Raises
    ------
    ValueError
        If the file holds anything else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(file)
            self._offset = file.tell()
        if len(shape) != 2 or fortran or dtype not in (np.dtype("float32"), np.dtype("float64")):
            msg = f"{self.path} must hold a float32 or float64 matrix with contiguous rows; it holds {dtype} {shape}"
            raise ValueError(msg)
        self.shape: tuple[int, int] = shape
        self._dtype = dtype

    def blocks(self) -> Iterator[Tensor]:
        """Blocks of up to `ROWS` rows, float32 or float64; each is overwritten by the next."""
        buffer = np.empty((min(ROWS, self.shape[0]), self.shape[1]), self._dtype)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self._offset)
            for start in range(0, self.shape[0], ROWS):
                part = buffer[: min(ROWS, self.shape[0] - start)]
                _fill(file, part)
                yield torch.from_numpy(part)


Matrix = Tensor | StoredMatrix


def blocks_of(matrix: Matrix) -> Iterator[Tensor]:
    """Blocks of up to `ROWS` rows."""
    return iter(torch.split(matrix, ROWS)) if isinstance(matrix, Tensor) else matrix.blocks()


def _fill(file: io.FileIO, part: NDArray[Any]) -> None:
    view = memoryview(part).cast("B")  # type: ignore[arg-type]  # numpy arrays are buffers
    while view:
        count = file.readinto(view)
        if not count:
            msg = "the file ends before its matrix does"
            raise ValueError(msg)
        view = view[count:]
