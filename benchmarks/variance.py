"""VR_1..VR_50 of a large matrix (the paper's: 50,000 x 16,384), streamed from disk.

    python -m benchmarks.variance [--rows 50000] [--features 16384] [--k 50] [--folder DIR]

The matrix is U diag(s) V^T with U and V from cosine transforms, so that its whole spectrum is known: s_i^2 = 1 / i.
It takes 4 bytes an entry on disk and is removed afterwards. Time and peak memory are those of a fresh process.
"""

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.fft import dct

from benchmarks.machine import describe, peak_memory

ROWS = 2048


def write_matrix(path: Path, rows: int, features: int):
    """Write U diag(s) V^T as float32; gives s^2."""
    rank = min(rows, features)
    squares = 1 / np.arange(1, rank + 1)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], rank).astype(np.float32)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (rows, features))
    columns = np.arange(rank)
    norms = np.where(columns == 0, 1 / np.sqrt(rows), np.sqrt(2 / rows))
    scale = (norms * np.sqrt(squares)).astype(np.float32) * signs
    for start in range(0, rows, ROWS):
        index = np.arange(start, min(start + ROWS, rows))[:, None]
        U = np.cos(np.pi * (index + 0.5) * columns / rows).astype(np.float32)
        out[start : start + ROWS] = dct(U * scale, n=features, norm="ortho", axis=1)
    out.flush()
    return squares


def measure(path: Path, k: int, answers: multiprocessing.Queue) -> None:
    from lrbench.diagnostics import StoredMatrix, variance_spectrum  # noqa: PLC0415

    before = peak_memory()
    start = time.perf_counter()
    found = variance_spectrum(StoredMatrix(path), k)
    seconds = time.perf_counter() - start
    answers.put((seconds, before, peak_memory(), found.ratios.numpy(), found.error.numpy()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=16_384)
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    print(describe())
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "matrix.npy"
        squares = write_matrix(path, arguments.rows, arguments.features)
        answers = context.Queue()
        process = context.Process(target=measure, args=(path, arguments.k, answers))
        process.start()
        seconds, before, peak, ratios, error = answers.get()
        process.join()
    truth = np.cumsum(squares)[: arguments.k] / squares.sum()
    print(f"{arguments.rows:,} x {arguments.features:,} float32, VR_1..VR_{arguments.k}: {seconds:.1f} s")
    print(f"peak memory {peak:.2f} GiB, of which {before:.2f} GiB before it began")
    print(f"largest error {np.abs(ratios - truth).max():.1e}, stated bound {error.max():.1e}")


if __name__ == "__main__":
    main()
