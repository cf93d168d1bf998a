"""Low-rank weights with a bounded condition number.

Source: Savostianova, Zangrando, Ceruti and Tudisco, *Robust low-rank training via approximate orthonormal constraints*
(CondLR), NeurIPS 2023, arXiv 2306.01485.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from lrbench.catalogue import REGULARIZERS
from lrbench.regularizers.low_rank_weights import Factors, LowRankWeights, LowRankWeightsOptions, truncated
from lrbench.regularizers.weights import precise
from lrbench.strict import Number


class CondLROptions(LowRankWeightsOptions):
    """What a suite can say of it, besides `rank` and `layers` as of weights of low rank.

    Attributes
    ----------
    condition : float, >= 1
        Largest quotient of a weight's singular values that are not 0. At 1 they are all the same, so that weights
        are orthogonal up to a factor.
    """

    condition: Annotated[Number, Field(ge=1)] = 2.0


class Conditioned(Factors):
    """A weight as U S V^T."""

    def forward(self, left: Tensor, middle: Tensor, right: Tensor) -> Tensor:
        """Multiply U, (m, r), S, (r, r), and V, (n, r)."""
        return (left @ middle @ right.T).view(self.shape)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the factors of the best approximation."""
        U, sizes, V = truncated(weight, self.rank)
        return U.to(weight.dtype), torch.diag(sizes).to(weight.dtype), V.to(weight.dtype)


@REGULARIZERS.register("condlr")
class CondLR(LowRankWeights):
    """CondLR (Savostianova et al., 2023): W = U S V^T of a fixed rank, U and V orthonormal, S of bounded condition."""

    Options = CondLROptions
    options: CondLROptions

    factors = Conditioned

    def attach(self, model: nn.Module) -> None:
        """Factorise the weights."""
        super().attach(model)
        self.after_step(model)

    @torch.no_grad()
    def after_step(self, model: nn.Module) -> None:  # noqa: ARG002
        """Bring U and V back to orthonormal columns, and S to its condition."""
        for module in self.modules:
            factors: Any = module.get_submodule("parametrizations.weight")
            # Named so by torch, in the order of `Conditioned.right_inverse`.
            left, middle, right = factors.original0, factors.original1, factors.original2
            left.copy_(orthonormal(precise(left)))
            right.copy_(orthonormal(precise(right)))
            middle.copy_(conditioned(precise(middle), self.options.condition))


def orthonormal(factor: Tensor) -> Tensor:
    """Give Q of the QR decomposition whose R has a positive diagonal: the retraction onto the Stiefel manifold."""
    Q, R = torch.linalg.qr(factor)
    turned: Tensor = Q * torch.where(R.diagonal() < 0, -1.0, 1.0)
    return turned


def conditioned(S: Tensor, condition: float) -> Tensor:
    """Move a matrix's singular values into the interval around their mean whose ends have the quotient `condition`."""
    U, sizes, Vh = torch.linalg.svd(S)
    mean = sizes.mean()
    lowest = 2 * mean / (condition + 1)
    moved: Tensor = (U * torch.clamp(sizes, lowest, condition * lowest)) @ Vh
    return moved
