"""Eigendecompositions and column sampling that the dense and the factored projections share."""

import torch
from torch import Tensor

SMOOTHING = 0.01
"""What the paper adds to the diagonal, again and again, until the decomposition converges (section 3.3)."""

MAX_SMOOTHINGS = 100


def smoothed_eigh(W: Tensor, *, smoothed: bool = True) -> tuple[Tensor, Tensor]:
    """Eigenvalues (ascending) and eigenvectors of a symmetric matrix, smoothed until they converge.

    With `smoothed` False what was added is taken off the eigenvalues again: they are those of W.

    Raises
    ------
    FloatingPointError
        If W is not finite, or does not converge after `MAX_SMOOTHINGS` additions of 0.01 to its diagonal.
    """
    identity: Tensor | None = None
    for smoothings in range(MAX_SMOOTHINGS + 1):
        try:
            eigenvalues, eigenvectors = torch.linalg.eigh(W if identity is None else W + smoothings * identity)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            _require_finite(W)
            identity = SMOOTHING * torch.eye(len(W), dtype=W.dtype, device=W.device)
        else:
            # Of a larger matrix of NaN they are given as NaN, without an error.
            _require_finite(eigenvalues)
            return eigenvalues if smoothed else eigenvalues - smoothings * SMOOTHING, eigenvectors
    msg = f"the eigendecomposition of a {len(W)} x {len(W)} matrix does not converge even when smoothed"
    raise FloatingPointError(msg)


def _require_finite(values: Tensor) -> None:
    if not values.isfinite().all():
        msg = "the matrix to project holds NaN or infinite entries; the activations behind it have diverged"
        raise FloatingPointError(msg)


def top_eigenpairs(W: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Top `rank` eigenpairs of a positive semidefinite matrix, without those that are zero to rounding.

    The zero ones have no place in a pseudo-inverse; cut off as `numpy.linalg.pinv` does, at
    size * machine epsilon * largest.
    """
    eigenvalues, eigenvectors = smoothed_eigh(W)
    cutoff = len(W) * torch.finfo(W.dtype).eps * eigenvalues[-1]
    positive = int((eigenvalues > cutoff.clamp_min(0)).sum())
    kept = slice(len(W) - min(rank, positive), len(W))
    return eigenvalues[kept], eigenvectors[:, kept]


def draw_columns(
    features: int,
    rank: int,
    columns: Tensor | int | None,
    runs: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Column indices for each run, (runs, l): those given, or drawn uniformly without replacement."""
    if runs < 1:
        msg = f"runs must be at least 1, got {runs}"
        raise ValueError(msg)
    if isinstance(columns, Tensor):
        return _given_columns(columns, features, runs)
    count = min(2 * rank, features) if columns is None else columns
    if not rank <= count <= features:
        msg = f"the number of columns must lie between the rank {rank} and the {features} features, got {count}"
        raise ValueError(msg)
    device = torch.device("cpu") if generator is None else generator.device
    draws = [torch.randperm(features, generator=generator, device=device)[:count] for _ in range(runs)]
    return torch.stack(draws)


def _given_columns(columns: Tensor, features: int, runs: int) -> Tensor:
    sampled = columns.reshape(1, -1) if columns.ndim == 1 else columns
    if sampled.ndim != 2 or len(sampled) != runs:
        msg = f"columns must have shape (l,) or ({runs}, l) for {runs} runs, got {tuple(columns.shape)}"
        raise ValueError(msg)
    inside = bool(((sampled >= 0) & (sampled < features)).all())
    if not inside or any(len(row.unique()) != len(row) for row in sampled):
        msg = f"columns must be distinct indices in 0..{features - 1}"
        raise ValueError(msg)
    return sampled
