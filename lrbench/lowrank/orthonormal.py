"""Orthonormal bases, and the top eigenspace of a matrix by iteration, without a decomposition that makes a GPU wait."""

import torch
from torch import Tensor

from lrbench.lowrank import devices


def orthonormal(Y: Tensor, rounds: int = 2) -> Tensor:
    """Orthonormal columns that span what the columns of Y span, (p, k).

    On a CPU by Householder's QR. Elsewhere by CholeskyQR, made so many times: a few products of matrices (Fukaya,
    Kannan, Nakatsukasa, Yamamoto and Yanagisawa, *Shifted CholeskyQR for computing the QR factorization of
    ill-conditioned matrices*, SIAM J. Sci. Comput. 42, 2020). Columns that depend on those before them come out as 0,
    or short.
    """
    if devices.on_cpu(Y):
        Q: Tensor = torch.linalg.qr(Y).Q
        return Q
    for _ in range(rounds):
        Y = _shortened(Y)
    return Y


def _shortened(Y: Tensor) -> Tensor:
    """Y R^-1 with R^T R = Y^T Y and a shift that keeps it positive definite."""
    gram = Y.T @ Y
    shift = torch.finfo(Y.dtype).eps * gram.trace()
    gram.diagonal().add_(shift.clamp_min(torch.finfo(Y.dtype).tiny))
    # Twice as fast on a GPU as to ask for the upper factor.
    R = torch.linalg.cholesky_ex(gram).L.mT
    shortened: Tensor = torch.linalg.solve_triangular(R, Y, upper=True, left=False)
    return shortened


def completed(Y: Tensor, others: Tensor) -> Tensor:
    """Put columns of others, one after the other and again from the first, in place of those of Y that are 0.

    Parameters
    ----------
    Y : Tensor, (p, k)
    others : Tensor, (p, n)
    """
    spare = others[:, torch.arange(Y.shape[1], device=Y.device) % others.shape[1]]
    return torch.where((Y == 0).all(dim=0), spare, Y)
