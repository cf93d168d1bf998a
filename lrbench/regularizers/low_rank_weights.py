"""Weights of low rank: each is trained as a product of two thin factors.

Source: Sainath et al., *Low-rank matrix factorization for deep neural network training*, ICASSP 2013; started by
truncation (spectral initialisation), Khodak, Tenenholtz, Mackey and Fusi, *Initialization and Regularization of
Factorized Neural Layers*, ICLR 2021.
"""

import math
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrize import remove_parametrizations

from lrbench.catalogue import REGULARIZERS
from lrbench.measures.base import Options
from lrbench.regularizers.base import Regularizer
from lrbench.regularizers.named import Layers
from lrbench.regularizers.weights import as_matrix, factorised, precise
from lrbench.strict import Number

NOTHING = 1e-6
"""Singular values are 0 below this share of the largest."""


class LowRankWeightsOptions(Options):
    """What a suite can say of it.

    Attributes
    ----------
    rank : float in (0, 1]
        Share of min(m, n) that the rank of an m x n weight may be, rounded up.
    layers : list of str, optional
        Convolutions and linear layers. Default: all.
    """

    rank: Annotated[Number, Field(gt=0, le=1)] = 0.25
    layers: Layers | None = None


class Factors(nn.Module):
    """A weight as a product of factors, from which torch computes it.

    Parameters
    ----------
    weight : Tensor
    share : float
        Rank as a share of the full one.
    """

    def __init__(self, weight: Tensor, share: float) -> None:
        super().__init__()
        self.shape, self.rank = weight.shape, rank_of(weight, share)


class Product(Factors):
    """A weight as U V^T."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Multiply U, (m, r), and V, (n, r)."""
        return (left @ right.T).view(self.shape)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Give the factors of the best approximation, each with a root of the singular values.

        Where one is 0, V is not: no gradient would reach either of two factors that are.
        """
        U, sizes, V = truncated(weight, self.rank)
        roots = torch.where(sizes > NOTHING * sizes[0], sizes.sqrt(), 1.0)
        return (U * (sizes / roots)).to(weight.dtype), (V * roots).to(weight.dtype)


@REGULARIZERS.register("low_rank_weights")
class LowRankWeights(Regularizer):
    """Factorised weights (Khodak et al., 2021): W = U V^T of a fixed rank, started from the best such approximation."""

    Options = LowRankWeightsOptions
    options: LowRankWeightsOptions

    writes_weights = True
    factors: ClassVar[type[Factors]] = Product

    def attach(self, model: nn.Module) -> None:
        """Factorise the weights."""
        self.modules = factorised(model, self.options.layers, partial(self.factors, share=self.options.rank))

    def finish(self, model: nn.Module) -> None:  # noqa: ARG002
        """Multiply the factors out."""
        for module in self.modules:
            remove_parametrizations(module, "weight")


def rank_of(weight: Tensor, share: float) -> int:
    """Give a share of a weight's full rank, rounded up, at least 1."""
    # 0.55 x 100 is more than 55 in floating point.
    return max(1, math.ceil(round(share * min(as_matrix(weight).shape), 9)))


def truncated(weight: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give the first singular vectors and values of a weight, `precise`: U, (m, r), sizes, (r,), and V, (n, r)."""
    U, sizes, Vh = torch.linalg.svd(precise(as_matrix(weight)), full_matrices=False)
    return U[:, :rank], sizes[:rank], Vh[:rank].T
