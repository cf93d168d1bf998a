"""Stable-rank normalisation: the stable rank of every weight is bounded.

Source: Sanyal, Torr and Dokania, *Stable Rank Normalization for Improved Generalization in Neural Networks and GANs*,
ICLR 2020 (theorem 1 with k = 1, and algorithm 1).
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from lrbench.catalogue import REGULARIZERS
from lrbench.measures.base import Options
from lrbench.regularizers.base import Regularizer
from lrbench.regularizers.named import Layers
from lrbench.regularizers.weights import as_matrix, precise, weighted
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
    layers: Layers | None = None


@REGULARIZERS.register("srn")
class StableRankNormalization(Regularizer):
    """Stable-rank normalisation (Sanyal et al., 2020): after each step the stable rank of every weight is bounded."""

    Options = StableRankNormalizationOptions
    options: StableRankNormalizationOptions

    recordable = True
    writes_weights = True

    def attach(self, model: nn.Module) -> None:
        """Begin with normalised weights."""
        self.modules = weighted(model, self.options.layers)
        self.vectors = {name: first_vector(as_matrix(module.weight)) for name, module in self.modules.items()}
        self.after_step(model)

    @torch.no_grad()
    def after_step(self, model: nn.Module) -> None:  # noqa: ARG002
        """Normalise every weight in place."""
        for name, module in self.modules.items():
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
    """Give an approximate first right-singular vector of a matrix, `precise`; from a start drawn with a fixed seed."""
    drawn = torch.randn(W.shape[1], generator=torch.Generator().manual_seed(0), device="cpu")
    with torch.no_grad():
        scaled = unit_scaled(W)[0]
        vector = nn.functional.normalize(drawn, dim=0).to(scaled)
        for _ in range(FIRST):
            vector = first_pair(scaled, vector).right
    return vector


def normalize(W: Tensor, vector: Tensor, target: float, *, spectral: bool) -> tuple[Tensor, Tensor]:
    """Shrink what a matrix is beside its first singular pair until its stable rank is small enough.

    The bound holds whether or not the power iteration has converged: for any unit vectors u and v with s = u^T W v the
    rest W - s u v^T is orthogonal to u v^T, and sigma_1 of what is left is s or more. A matrix of zeros stays one.

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
        The matrix, and the vector after one power iteration; both `precise`.
    """
    scaled, scale = unit_scaled(W)
    tiny = torch.finfo(scaled.dtype).tiny
    left, sigma, right = first_pair(scaled, vector)
    first = sigma * torch.outer(left, right)
    rest = scaled - first
    rank = max(1.0, target * min(W.shape))
    largest = math.sqrt(rank - 1) * sigma
    share = (largest / torch.linalg.matrix_norm(rest).clamp_min(tiny)).clamp_max(1.0)
    normalized = first + share * rest
    return normalized / sigma.clamp_min(tiny) if spectral else normalized * scale, right


class Pair(NamedTuple):
    """Singular vectors u, (m,), and v, (n,), both of length 1, and s = u^T W v, a scalar."""

    left: Tensor
    size: Tensor
    right: Tensor


def unit_scaled(W: Tensor) -> tuple[Tensor, Tensor]:
    """Divide a matrix by its largest entry, so that no square overflows or vanishes; both, `precise`."""
    W = precise(W)
    largest = torch.linalg.vector_norm(W, float("inf"))
    scale = torch.where(largest > 0, largest, 1.0)
    return W / scale, scale


def first_pair(W: Tensor, vector: Tensor) -> Pair:
    """Make one power iteration; of zeros, u and s are 0 and v is `vector`.

    It begins at the longest row where that is mapped to more than `vector` is: weights can move to where they map
    `vector` to nothing, and s is to be 0 for zeros alone.
    """
    tiny = torch.finfo(W.dtype).tiny
    lengths = torch.linalg.vector_norm(W, dim=1)
    longest = lengths.max()
    # By its index on the device: the host does not wait for it.
    row = W.index_select(0, lengths.argmax().view(1))[0] / longest.clamp_min(tiny)
    mapped = W @ torch.stack([vector, row], dim=1)
    start = torch.where(torch.linalg.vector_norm(mapped[:, 0]) >= longest, mapped[:, 0], mapped[:, 1])
    left = nn.functional.normalize(start, dim=0)
    right = W.T @ left
    size = torch.linalg.vector_norm(right)
    return Pair(left, size, torch.where(size > 0, right / size.clamp_min(tiny), vector))
