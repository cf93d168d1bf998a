"""Matrices that are read block by block, so that they need not fit into memory."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

ROWS = 2048
BLOCK_BYTES = 256 << 20

MEMORY_BYTES = 4 << 30
"""A matrix that takes more is held on disk."""


class StoredMatrix:
    """A float32 or float64 matrix in a `.npy` file, read in blocks and never mapped or loaded as a whole.

    Parameters
    ----------
    path : str or Path
        As `numpy.save` wrote it, rows contiguous.
    rows : slice, optional
        Consecutive rows that count. Default: all.

    Raises
    ------
    ValueError
        If the file holds anything else.
    """

    def __init__(self, path: str | Path, rows: slice | None = None) -> None:
        self.path = Path(path)
        with self.path.open("rb") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(file)
            self._offset = file.tell()
        if len(shape) != 2 or fortran or dtype not in (np.dtype("float32"), np.dtype("float64")):
            msg = f"{self.path} must hold a float32 or float64 matrix with contiguous rows; it holds {dtype} {shape}"
            raise ValueError(msg)
        begin, end, _ = (rows or slice(None)).indices(shape[0])
        self.shape: tuple[int, int] = (end - begin, shape[1])
        self._dtype = dtype
        self._first = begin
        self._offset += begin * shape[1] * dtype.itemsize
        self.dtype: torch.dtype = torch.float32 if dtype == np.dtype("float32") else torch.float64

    def blocks(self) -> Iterator[Tensor]:
        """Blocks of up to `rows_of_a_block` rows, float32 or float64; each is overwritten by the next."""
        size = rows_of_a_block(self.shape[1])
        buffer = np.empty((min(size, self.shape[0]), self.shape[1]), self._dtype)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self._offset)
            for start in range(0, self.shape[0], size):
                part = buffer[: min(size, self.shape[0] - start)]
                _fill(file, part)
                yield torch.from_numpy(part)

    def part(self, rows: slice) -> "StoredMatrix":
        """Give some of the rows, without reading any."""
        begin, end, _ = rows.indices(self.shape[0])
        first = self._first + begin
        return StoredMatrix(self.path, slice(first, first + max(0, end - begin)))

    def picked(self, rows: Tensor) -> Tensor:
        """Read some rows into memory, by number."""
        mapped = np.memmap(self.path, self._dtype, "r", self._offset, self.shape)
        return torch.from_numpy(np.array(mapped[rows.numpy()]))


Matrix = Tensor | StoredMatrix


_DEVICE: ContextVar[torch.device | None] = ContextVar("device", default=None)


@contextmanager
def computed_on(device: torch.device) -> Iterator[None]:
    """Let the blocks of matrices that lie elsewhere come to a device in this block of code: that of the network."""
    token = _DEVICE.set(device)
    try:
        yield
    finally:
        _DEVICE.reset(token)


def blocks_of(matrix: Matrix) -> Iterator[Tensor]:
    """Blocks of up to `ROWS` rows, where they are computed with; of fewer where a stored matrix has long ones."""
    device = _DEVICE.get()
    for block in torch.split(matrix, ROWS) if isinstance(matrix, Tensor) else matrix.blocks():
        yield block if device is None else block.to(device)


def rows_of_a_block(features: int) -> int:
    """Rows of so many float32 that take no more than `BLOCK_BYTES`, at least one, at most `ROWS`."""
    return max(1, min(ROWS, BLOCK_BYTES // (4 * features)))


def _fill(file: io.FileIO, part: NDArray[Any]) -> None:
    view = memoryview(part).cast("B")  # type: ignore[arg-type]  # numpy arrays are buffers
    while view:
        count = file.readinto(view)
        if not count:
            msg = "the file ends before its matrix does"
            raise ValueError(msg)
        view = view[count:]
