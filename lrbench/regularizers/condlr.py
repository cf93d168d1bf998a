"""Low-rank weights with a bounded condition number.

Source: Savostianova, Zangrando, Ceruti and Tudisco, *Robust low-rank training via approximate orthonormal constraints*
(CondLR), NeurIPS 2023, arXiv 2306.01485.
"""

from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrize import remove_parametrizations

from lrbench.catalogue import REGULARIZERS
from lrbench.measures.base import Options
from lrbench.regularizers.base import Regularizer
from lrbench.regularizers.low_rank_weights import rank_of, truncated
from lrbench.regularizers.named import Layers
from lrbench.regularizers.weights import factorised, precise
from lrbench.strict import Number


class CondLROptions(Options):
    """What a suite can say of it.

    Attributes
    ----------
    rank : float in (0, 1]
        Share of min(m, n) that the rank of an m x n weight is, rounded up.
    condition : float, >= 1
        Largest quotient of a weight's singular values that are not 0. At 1 they are all the same, so that weights
        are orthogonal up to a factor.
    layers : list of str, optional
        Convolutions and linear layers. Default: all.
    """

    rank: Annotated[Number, Field(gt=0, le=1)] = 0.25
    condition: Annotated[Number, Field(ge=1)] = 2.0
    layers: Layers | None = None


@REGULARIZERS.register("condlr")
class CondLR(Regularizer):
    """CondLR (Savostianova et al., 2023): W = U S V^T of a fixed rank, U and V orthonormal, S of bounded condition."""

    Options = CondLROptions
    options: CondLROptions

    writes_weights = True

    def attach(self, model: nn.Module) -> None:
        """Factorise the weights."""
        self.modules = factorised(model, self.options.layers, partial(Conditioned, share=self.options.rank))
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

    def finish(self, model: nn.Module) -> None:  # noqa: ARG002
        """Multiply the factors out."""
        for module in self.modules:
            remove_parametrizations(module, "weight")


class Conditioned(nn.Module):
    """A weight as U S V^T.

    Parameters
    ----------
    weight : Tensor
    share : float
        Rank as a share of the full one.
    """

    def __init__(self, weight: Tensor, share: float) -> None:
        super().__init__()
        self.shape, self.rank = weight.shape, rank_of(weight, share)

    def forward(self, left: Tensor, middle: Tensor, right: Tensor) -> Tensor:
        """Multiply U, (m, r), S, (r, r), and V, (n, r)."""
        return (left @ middle @ right.T).view(self.shape)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the factors of the best approximation."""
        U, sizes, V = truncated(weight, self.rank)
        return U.to(weight.dtype), torch.diag(sizes).to(weight.dtype), V.to(weight.dtype)


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
