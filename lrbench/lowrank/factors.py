"""W as thin and small matrices: the m x m matrix is never formed."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LowRank:
    """The symmetric positive semidefinite matrix W = F F^T of rank at most k, with F = rows^T mix.

    A factor in two parts can follow an update by replacing n of its rows, instead of rotating all of it
    (`lrbench.lowrank.interpolation`).

    Attributes
    ----------
    rows : Tensor, (k, m)
    mix : Tensor, (k, k)
    gram : Tensor, (k, k)
        F^T F.
    """

    rows: Tensor
    mix: Tensor
    gram: Tensor

    @property
    def rank(self) -> int:
        """The bound k on its rank."""
        return len(self.mix)

    @classmethod
    def from_factor(cls, F: Tensor) -> "LowRank":
        """W = F F^T for F of shape (m, k)."""
        return cls(F.T.contiguous(), torch.eye(F.shape[1], dtype=F.dtype, device=F.device), F.T @ F)

    @property
    def factor(self) -> Tensor:
        """F, (m, k)."""
        return self.rows.T @ self.mix

    def dense(self) -> Tensor:
        """W, (m, m); for inspection."""
        F = self.factor
        return F @ F.T

    def apply(self, x: Tensor) -> Tensor:
        """Multiply rows x, (..., m), by W."""
        return (x @ self.rows.T) @ (self.mix @ self.mix.T) @ self.rows

    def refreshed(self) -> "LowRank":
        """Give the same matrix with `mix` = identity and the Gram matrix computed anew: rounding starts from zero."""
        return LowRank.from_factor(self.factor)
