"""What an LR-Layer gives and is made of: its penalties, its state, its projection, and the checks of its options."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lrbench.lowrank.factors import LowRank
from lrbench.lowrank.projection import Exact, Nystrom, Projection, Subspace
from lrbench.lowrank.spectrum import top_eigenpairs

PROJECTIONS = ("exact", "nystrom", "subspace")


class Penalty(NamedTuple):
    """The two penalties of a batch, scalars: reconstruction L_c and norm L_N, their weights included."""

    reconstruction: Tensor
    norm: Tensor


class Batch(NamedTuple):
    """What an update works on: shifted activations X = A + b, (n, m), and their coordinates P = X rows^T, (n, k)."""

    shifted: Tensor
    coordinates: Tensor


class Updated(NamedTuple):
    """What an update arrives at: W, b, (m,), and the error of the projection."""

    W: LowRank
    bias: Tensor
    error: Tensor


class LayerState(NamedTuple):
    """What an LR-Layer is doing.

    Attributes
    ----------
    rank : int
        Numerical rank of W: eigenvalues above 1e-4 of the largest.
    largest_eigenvalue : float
        Of W; 1 is a projector's.
    residual : float
        ||W (A + b) - (A + b)||_F / ||A + b||_F on the last penalised batch: what is not in the subspace.
    projection_error : float
        Of the last projection (`lrbench.lowrank.projection.Projected`).
    """

    rank: int
    largest_eigenvalue: float
    residual: float
    projection_error: float


def projection_of(name: str, columns: int | Tensor | None, runs: int) -> Projection:
    """Give the rank projection of a name."""
    if name == "nystrom":
        return Nystrom(columns, runs)
    return Exact() if name == "exact" else Subspace()


def penalised(
    activations: Tensor, X: Tensor, W: LowRank, weights: tuple[float, float]
) -> tuple[Penalty, Tensor, Tensor]:
    """Give the penalties of activations and of X = A + b; the share of X that W does not hold; and X's coordinates."""
    P = X @ W.rows.T
    squares = (P @ (W.mix @ W.mix.T) @ W.rows - X).square().sum()
    with torch.no_grad():
        residual = (squares / X.square().sum().clamp_min(torch.finfo(X.dtype).tiny)).sqrt()
    norms = torch.linalg.vector_norm(activations, dim=1)
    return Penalty(weights[0] * squares / len(X), weights[1] * (1 - norms).abs().mean()), residual, P


def principal_projector(X: Tensor, rank: int) -> Tensor:
    """Orthonormal columns spanning X's top right-singular vectors, zero-padded to `rank`."""
    squares, left = top_eigenpairs(X @ X.T, min(rank, len(X)))
    return nn.functional.pad(X.T @ (left * squares.rsqrt()), (0, rank - len(squares)))


def check(projection: str, counts: dict[str, int], weights: dict[str, float]) -> None:
    """Raise ValueError for an unknown projection, a count below 1, or a weight that is negative or not finite."""
    if projection not in PROJECTIONS:
        msg = f"projection must be one of {', '.join(PROJECTIONS)}, got {projection!r}"
        raise ValueError(msg)
    for name, count in counts.items():
        if count < 1:
            msg = f"{name} must be at least 1, got {count}"
            raise ValueError(msg)
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            msg = f"{name} must be a finite number >= 0, got {weight}"
            raise ValueError(msg)


def check_steps(steps: dict[str, float]) -> None:
    """Raise ValueError for a step outside (0, 1]."""
    for name, value in steps.items():
        if not 0 < value <= 1:
            msg = f"{name} must lie in (0, 1], got {value}"
            raise ValueError(msg)
