"""Rank projections on factors: the m x m matrix exists only as B M B^T and comes back as V V^T.

The gradient of the reconstruction penalty is built from a batch of n rows, so W after a gradient step lies
in the span of [V, X^T], of dimension at most k + n. Both projections of the paper (section 3) can therefore work
on B (m x (k + n)) and the small symmetric core M, in O(m (k + n)^2) time and O(m (k + n)) memory.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lrbench.lowrank.spectrum import draw_columns, smoothed_eigh, top_eigenpairs


@dataclass(frozen=True)
class Factored:
    """The symmetric positive semidefinite matrix B M B^T; B is (m, p), M is (p, p)."""

    basis: Tensor
    core: Tensor

    def dense(self) -> Tensor:
        """Form the (m, m) matrix; for inspection."""
        return self.basis @ self.core @ self.basis.T


class Projection(Protocol):
    """Maps a factored matrix to V, (m, rank), with V V^T its approximation of that rank."""

    def __call__(self, matrix: Factored, rank: int, seed: int) -> Tensor:
        """Project; `seed` determines whatever is drawn at random."""


def exact(matrix: Factored, rank: int, seed: int = 0) -> Tensor:  # noqa: ARG001
    """Best positive semidefinite approximation of rank `rank` (paper, section 3.2, equation 5).

    Orthonormalises B by the Cholesky factor of its Gram matrix and decomposes the (p, p) core in that basis.
    The Gram matrix squares B's condition number, which does no harm here: a direction that is weak in B
    contributes to B M B^T by the square of its weight.
    """
    B, M = matrix.basis, matrix.core
    L = _cholesky(B.T @ B)
    core = L.T @ M @ L
    eigenvalues, U = smoothed_eigh((core + core.T) / 2)
    top = slice(max(0, len(M) - rank), None)
    weighted = U[:, top] * eigenvalues[top].clamp_min(0).sqrt()
    return _padded(B @ torch.linalg.solve_triangular(L.T, weighted, upper=True), rank)


@dataclass(frozen=True)
class Nystrom:
    """Nystrom column sampling (paper, section 3.3): `columns` sampled (default 2 rank), `runs` averaged."""

    columns: Tensor | int | None = None
    runs: int = 1

    def __call__(self, matrix: Factored, rank: int, seed: int = 0) -> Tensor:
        """Project; the dense counterpart is `lrbench.lowrank.nystrom`."""
        generator = torch.Generator().manual_seed(seed)
        features = len(matrix.basis)
        sampled = draw_columns(features, rank, self.columns, self.runs, generator).to(matrix.basis.device)
        factors = [self._single_run(matrix, rank, indices) for indices in sampled]
        if len(factors) == 1:
            return _padded(factors[0], rank)
        stacked = torch.cat(factors, dim=1) / len(factors) ** 0.5
        identity = torch.eye(stacked.shape[1], dtype=stacked.dtype, device=stacked.device)
        return exact(Factored(stacked, identity), rank)

    @staticmethod
    def _single_run(matrix: Factored, rank: int, indices: Tensor) -> Tensor:
        sampled = matrix.basis[indices]
        inner = matrix.core @ sampled.T
        W_l = sampled @ inner
        eigenvalues, U = top_eigenpairs((W_l + W_l.T) / 2, rank)
        return matrix.basis @ (inner @ (U * eigenvalues.rsqrt()))


def _cholesky(gram: Tensor) -> Tensor:
    """Lower factor of a positive semidefinite Gram matrix, with the smallest shift that makes it definite."""
    scale = gram.diagonal().mean().clamp_min(torch.finfo(gram.dtype).tiny)
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    shift = 4 * torch.finfo(gram.dtype).eps * scale
    for _ in range(8):
        L: Tensor
        L, info = torch.linalg.cholesky_ex(gram + shift * identity)
        if not info:
            return L
        shift = 10 * shift
    msg = "the activations hold NaN or infinite entries; the network has diverged"
    raise FloatingPointError(msg)


def _padded(V: Tensor, rank: int) -> Tensor:
    """V with zero columns appended up to `rank`, so that the factor keeps its shape."""
    return torch.nn.functional.pad(V, (0, rank - V.shape[1]))
