"""The rank projections on explicit matrices: the paper's Nystrom operator, and the exact one.

For inspection and for matrices that fit. Training works on factors instead (`lrbench.lowrank.projection`).
"""

import torch
from torch import Tensor

from lrbench.lowrank.spectrum import draw_columns, smoothed_eigh, top_eigenpairs


def truncate(W: Tensor, rank: int) -> Tensor:
    """Best approximation of rank `rank` in Frobenius norm: the exact operator (paper, section 3.2, equation 5).

    Parameters
    ----------
    W : Tensor, (m, m), floating point
        Symmetric.
    rank : int, 1..m

    Returns
    -------
    Tensor, (m, m)
        Symmetric; positive semidefinite if W is.

    Raises
    ------
    ValueError
        If W is not square, or the rank not in 1..m.
    """
    check_square(W, rank)
    eigenvalues, eigenvectors = smoothed_eigh(symmetric(W))
    kept = eigenvalues.abs().topk(rank).indices
    U = eigenvectors[:, kept]
    return symmetric(U * eigenvalues[kept] @ U.T)


def nystrom(
    W: Tensor,
    rank: int,
    columns: Tensor | int | None = None,
    runs: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Nystrom approximation of rank `rank` from sampled columns (paper, section 3.3, equation 6).

    With C = W[:, I] and W_l = C[I, :], the result is C W_{l,k}^+ C^T, where W_{l,k} keeps the top k of
    W_l's spectrum. If the decomposition of W_l does not converge, the identity is added in steps of 0.01.
    With several runs the results are averaged (the paper's ensemble). An average of t matrices of rank k has a
    rank of up to t k, so it is truncated once more: the result never has a rank above k.

    Parameters
    ----------
    W : Tensor, (m, m), floating point
        Symmetric positive semidefinite.
    rank : int, 1..m
    columns : Tensor of int64, (l,) or (runs, l); or int; optional
        The sampled indices I, or their number l >= rank. Default: l = min(2 rank, m), as in the paper.
    runs : int
        Ensemble size t.
    generator : torch.Generator, optional
        Source of the uniform sampling without replacement.

    Returns
    -------
    Tensor, (m, m)
        Symmetric positive semidefinite (Lemma 3.1), of rank at most `rank`.

    Raises
    ------
    ValueError
        If shapes, rank, runs or columns do not fit.
    """
    check_square(W, rank)
    sampled = draw_columns(len(W), rank, columns, runs, generator).to(W.device)
    mean = torch.stack([_single_run(W, rank, indices) for indices in sampled]).mean(dim=0)
    return mean if len(sampled) == 1 else truncate(mean, rank)


def _single_run(W: Tensor, rank: int, indices: Tensor) -> Tensor:
    C = W[:, indices]
    eigenvalues, U = top_eigenpairs(symmetric(C[indices]), rank)
    F = C @ (U * eigenvalues.rsqrt())
    return F @ F.T


def symmetric(W: Tensor) -> Tensor:
    """(W + W^T) / 2 (paper, section 3.4)."""
    return (W + W.T) / 2


def check_square(W: Tensor, rank: int) -> None:
    """Raise ValueError unless W is square and 1 <= rank <= m."""
    if W.ndim != 2 or W.shape[0] != W.shape[1]:
        msg = f"W must be a square matrix, got shape {tuple(W.shape)}"
        raise ValueError(msg)
    if not 1 <= rank <= len(W):
        msg = f"rank must lie in 1..{len(W)}, got {rank}"
        raise ValueError(msg)
