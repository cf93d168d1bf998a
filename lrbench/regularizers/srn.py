"""Stable-rank normalisation: the stable rank of every weight is bounded.

Source: Sanyal, Torr and Dokania, *Stable Rank Normalization for Improved Generalization in Neural Networks and GANs*,
ICLR 2020 (theorem 1 with k = 1, and algorithm 1).
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from lrbench.catalogue import REGULARIZERS
from lrbench.measures.base import Layer, Options
from lrbench.regularizers.base import Regularizer
from lrbench.regularizers.weights import as_matrix, weighted
from lrbench.strict import Number

FIRST = 20
"""Power iterations before the first step; each later step takes one, from where the last one ended."""


class StableRankNormalizationOptions(Options):
    """What a suite can say of it.

    Attributes
    ----------
    target : float in (0, 1]
        c: the stable rank ||W||_F^2 / sigma_1^2 of an m x n weight is at most max(1, c min(m, n)).
    spectral : bool
        Whether weights are divided by sigma_1 as well, as in the paper.
    layers : list of str, optional
        Convolutions and linear layers. Default: all.
    """

    target: Annotated[Number, Field(gt=0, le=1)] = 0.3
    spectral: bool = True
    layers: list[Layer] | None = None


@REGULARIZERS.register("srn")
class StableRankNormalization(Regularizer):
    """Stable-rank normalisation (Sanyal et al., 2020): after each step the stable rank of every weight is bounded."""

    Options = StableRankNormalizationOptions
    options: StableRankNormalizationOptions

    recordable = True

    def attach(self, model: nn.Module) -> None:
        """Begin with normalised weights."""
        self.vectors = {
            name: first_vector(as_matrix(module.weight)) for name, module in weighted(model, self.options.layers)
        }
        self.after_step(model)

    @torch.no_grad()
    def after_step(self, model: nn.Module) -> None:
        """Normalise every weight in place."""
        for name, module in weighted(model, list(self.vectors)):
            normalized, self.vectors[name] = normalize(
                as_matrix(module.weight), self.vectors[name], self.options.target, spectral=self.options.spectral
            )
            module.weight.copy_(normalized.view_as(module.weight))

    def state(self) -> dict[str, Any]:
        """Give the power iteration's vectors."""
        return dict(self.vectors)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Counterpart of `state`."""
        for name, vector in self.vectors.items():
            vector.copy_(state[name])


def first_vector(W: Tensor) -> Tensor:
    """Give an approximate first right-singular vector of a matrix, from a fixed start."""
    vector = torch.ones_like(W[0]) / math.sqrt(W.shape[1])
    with torch.no_grad():
        for _ in range(FIRST):
            vector = nn.functional.normalize(W.T @ (W @ vector), dim=0)
    return vector


def normalize(W: Tensor, vector: Tensor, target: float, *, spectral: bool) -> tuple[Tensor, Tensor]:
    """Shrink what a matrix is beside its first singular pair until its stable rank is small enough.

    The bound holds whether or not the power iteration has converged: for any unit vectors u and v with s = u^T W v the
    rest W - s u v^T is orthogonal to u v^T, and sigma_1 of what is left is s or more.

    Parameters
    ----------
    W : Tensor, (m, n)
    vector : Tensor, (n,)
        Unit vector near the first right-singular one.
    target : float
        Share of min(m, n).
    spectral : bool
        Divide by the estimate of sigma_1.

    Returns
    -------
    Tensor, (m, n); Tensor, (n,)
        The matrix, and the vector after one power iteration.
    """
    tiny = torch.finfo(W.dtype).tiny
    left = nn.functional.normalize(W @ vector, dim=0)
    right = W.T @ left
    sigma = torch.linalg.vector_norm(right).clamp_min(tiny)
    right = right / sigma
    first = sigma * torch.outer(left, right)
    rest = W - first
    rank = max(1.0, target * min(W.shape))
    largest = math.sqrt(rank - 1) * sigma
    share = (largest / torch.linalg.matrix_norm(rest).clamp_min(tiny)).clamp_max(1.0)
    normalized = first + share * rest
    return (normalized / sigma if spectral else normalized), right
