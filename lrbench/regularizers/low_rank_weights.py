"""Weights of low rank: each is trained as a product of two thin factors.

Source: Sainath et al., *Low-rank matrix factorization for deep neural network training*, ICASSP 2013; started by
truncation (spectral initialisation), Khodak, Tenenholtz, Mackey and Fusi, *Initialization and Regularization of
Factorized Neural Layers*, ICLR 2021.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization, remove_parametrizations

from lrbench.catalogue import REGULARIZERS
from lrbench.measures.base import Layer, Options
from lrbench.regularizers.base import Regularizer
from lrbench.regularizers.weights import as_matrix, weighted
from lrbench.strict import Number


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
    layers: list[Layer] | None = None


@REGULARIZERS.register("low_rank_weights")
class LowRankWeights(Regularizer):
    """Factorised weights (Khodak et al., 2021): W = U V^T of a fixed rank, started from the best such approximation."""

    Options = LowRankWeightsOptions
    options: LowRankWeightsOptions

    def attach(self, model: nn.Module) -> None:
        """Factorise the weights."""
        self.modules = [module for _, module in weighted(model, self.options.layers)]
        for module in self.modules:
            register_parametrization(module, "weight", Product(module.weight, self.options.rank))

    def finish(self, model: nn.Module) -> None:  # noqa: ARG002
        """Multiply the factors out."""
        for module in self.modules:
            remove_parametrizations(module, "weight")


class Product(nn.Module):
    """A weight as U V^T.

    Parameters
    ----------
    weight : Tensor
    share : float
        Rank as a share of the full one.
    """

    def __init__(self, weight: Tensor, share: float) -> None:
        super().__init__()
        self.shape, self.rank = weight.shape, rank_of(weight, share)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Multiply U, (m, r), and V, (n, r)."""
        return (left @ right.T).view(self.shape)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Give the factors of the best approximation, each with a root of the singular values."""
        U, sizes, V = truncated(weight, self.rank)
        return U * sizes.sqrt(), V * sizes.sqrt()


def rank_of(weight: Tensor, share: float) -> int:
    """Give a share of a weight's full rank, at least 1."""
    return math.ceil(share * min(as_matrix(weight).shape))


def truncated(weight: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give the first singular vectors and values of a weight: U, (m, r), sizes, (r,), and V, (n, r)."""
    U, sizes, Vh = torch.linalg.svd(as_matrix(weight), full_matrices=False)
    return U[:, :rank], sizes[:rank], Vh[:rank].T
