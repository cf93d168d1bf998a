"""Same seed, same device, same result."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lrbench.attacks.precision import rounded_products
from lrbench.global_state import seed_torch

CUBLAS_WORKSPACE = ":4096:8"
"""Memory that cuBLAS works in; with this, it gives the same result every time."""


@contextmanager
def seeded(seed: int, *, deterministic: bool = True) -> Iterator[None]:
    """Run a block with torch's global generators seeded and deterministic algorithms on; restore both after.

    Parameters
    ----------
    seed : int
    deterministic : bool
        True: float32 is float32 on a GPU too, where torch rounds the factors of convolutions to ten bits by itself
        (TF32). False leaves torch the choice of faster algorithms, and lets matrix products be rounded so as well.

    Raises
    ------
    RuntimeError
        From torch, if the block calls an operation without a deterministic implementation.
    """
    before = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    # cuBLAS reads this when it is first used; without it deterministic mode refuses matrix products.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
    with torch.random.fork_rng(), rounded_products(allowed=not deterministic):
        seed_torch(seed)
        torch.use_deterministic_algorithms(mode=deterministic)
        torch.backends.cudnn.benchmark = not deterministic
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode=before)
            torch.backends.cudnn.benchmark = benchmark
