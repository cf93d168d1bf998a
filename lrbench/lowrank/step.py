"""A gradient step on W, as a product that is never multiplied out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lrbench.lowrank import devices
from lrbench.lowrank.factors import LowRank


@dataclass(frozen=True)
class Stepped:
    """W' = W - eta sym(dL_c/dW) = B^T N N^T B, of rank at most p = n + k (paper, Algorithm 1 and section 3.4).

    With W = F F^T, Q = X F and c = eta lambda_1 / n the step reads

        W' = F F^T - c (F Q^T X + X^T Q F^T) + 2 c X^T X = B^T M B,   B = [X; F^T],   M = [[2c I, -c Q], [-c Q^T, I]],

    and M = N N^T with N = [[2h I, 0], [-h Q^T, L]], h = sqrt(c / 2), L L^T = I - h^2 Q^T Q.

    Attributes
    ----------
    W : LowRank
    X : Tensor, (n, m)
        Shifted activations A + b.
    Q : Tensor, (n, k)
    G : Tensor, (n, n)
        X X^T.
    h : Tensor, scalar
    L : Tensor, (k, k)
    """

    W: LowRank
    X: Tensor
    Q: Tensor
    G: Tensor
    h: Tensor
    L: Tensor

    def trace(self) -> Tensor:
        """Trace of W'."""
        return self.W.gram.trace() + 4 * self.h.square() * (self.G.trace() - self.Q.square().sum())

    def core(self) -> Tensor:
        """N^T B B^T N, (p, p): it has the non-zero eigenvalues of W'."""
        return self._core(self.G, self.Q, self.W.gram)

    def sampled_core(self, columns: Tensor) -> Tensor:
        """N^T B_I B_I^T N, (p, p), for the sampled columns I: it has the non-zero eigenvalues of W'[I, I]."""
        X = self.X[:, columns]
        F = (self.W.mix.T @ self.W.rows[:, columns]).T
        return self._core(X @ X.T, X @ F, F.T @ F)

    def coefficients(self, Y: Tensor) -> Tensor:
        """N Y, (p, j): the coefficients in the rows of B of the factor (N^T B)^T Y."""
        n = len(self.X)
        return torch.cat([2 * self.h * Y[:n], self.L @ Y[n:] - self.h * (self.Q.T @ Y[:n])])

    def gram(self, T: Tensor) -> Tensor:
        """(B^T T)^T (B^T T) for coefficients T, (p, j)."""
        X, F = T[: len(self.X)], T[len(self.X) :]
        cross = X.T @ (self.Q @ F)
        return X.T @ (self.G @ X) + cross + cross.T + F.T @ (self.W.gram @ F)

    def _core(self, XX: Tensor, XF: Tensor, FF: Tensor) -> Tensor:
        h, Q, L = self.h, self.Q, self.L
        n, p = len(Q), len(Q) + len(L)
        core = XX.new_empty(p, p)
        QFF = Q @ FF
        corner = (2 * XF - QFF / 2) @ Q.T
        core[:n, :n] = h.square() * (4 * XX - corner - corner.T)
        core[:n, n:] = h * ((2 * XF - QFF) @ L)
        core[n:, :n] = core[:n, n:].T
        core[n:, n:] = L.T @ FF @ L
        return core


def gradient_step(W: LowRank, X: Tensor, P: Tensor, step: float) -> Stepped:
    """W - eta sym(dL_c/dW) for eta = step / Lipschitz bound; lambda_1 cancels.

    L_c's gradient has the Lipschitz constant 2 lambda_1 / n sigma_max(X)^2, and sigma_max(X)^2 <= ||X X^T||_F.

    Parameters
    ----------
    W : LowRank
    X : Tensor, (n, m)
        Shifted activations A + b.
    P : Tensor, (n, k)
        X rows^T.
    step : float in (0, 1]
        Relative step, as in `lrbench.lowrank.LRLayer`.
    """
    Q = P @ W.mix
    G = X @ X.T
    c = step / (2 * _norm(G).clamp_min(torch.finfo(X.dtype).tiny))
    identity = torch.eye(W.rank, dtype=X.dtype, device=X.device)
    # Far from singular: c ||X||^2 <= 1/2 and ||W|| stays near 1, so the subtrahend's norm stays near 1/4.
    L = torch.linalg.cholesky_ex(identity - (c / 2) * (Q.T @ Q)).L
    return Stepped(W, X, Q, G, (c / 2).sqrt(), L)


def _norm(G: Tensor) -> Tensor:
    """Frobenius norm, also where the squares of entries are too small or too large for their type."""
    norm: Tensor = torch.linalg.matrix_norm(G)
    sound = norm.isfinite() & (norm > torch.finfo(G.dtype).tiny ** 0.5 * 1e3)
    if devices.on_cpu(G) and sound:
        return norm
    largest = G.abs().amax().clamp_min(torch.finfo(G.dtype).tiny)
    return torch.where(sound, norm, torch.linalg.matrix_norm(G / largest) * largest)
