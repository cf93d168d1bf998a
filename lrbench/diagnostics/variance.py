"""Variance ratio: how much of the activations the first k singular directions hold (paper, section 4)."""

from typing import overload

import torch
from torch import Tensor

BLOCK = 2048


@overload
def variance_ratio(activations: Tensor, k: int) -> float: ...


@overload
def variance_ratio(activations: Tensor, k: list[int]) -> list[float]: ...


def variance_ratio(activations: Tensor, k: int | list[int]) -> float | list[float]:
    """VR_k = sum of the k largest squared singular values over the sum of all (paper, equation 7).

    Not centred: the paper applies the LR-Layer's b before, if there is one (section 4.2). Leakage is 1 - VR_k.
    Computed from the smaller Gram matrix, in float64.

    Parameters
    ----------
    activations : Tensor, (N, m)
        One row an example.
    k : int or list of ints, >= 1
        A k above min(N, m) gives 1.

    Returns
    -------
    float, or list of floats for a list

    Raises
    ------
    ValueError
        If the activations are not a matrix, not finite or all zero, or a k is below 1.
    """
    ks = [k] if isinstance(k, int) else list(k)
    if activations.ndim != 2 or not activations.numel():
        msg = f"activations must be a non-empty matrix, one row an example; got shape {tuple(activations.shape)}"
        raise ValueError(msg)
    if any(each < 1 for each in ks):
        msg = f"k must be at least 1, got {k}"
        raise ValueError(msg)
    gram = _gram(activations)
    total = gram.diagonal().sum()
    if not 0 < total < float("inf"):
        msg = "activations must be finite and not all zero"
        raise ValueError(msg)
    squares = torch.linalg.eigvalsh(gram).clamp_min(0).flip(0)
    shares = (squares.cumsum(0) / squares.sum()).clamp_max(1)
    ratios = [shares[min(each, len(shares)) - 1].item() for each in ks]
    return ratios[0] if isinstance(k, int) else ratios


def class_variance_ratios(activations: Tensor, labels: Tensor) -> dict[int, float]:
    """VR_1 of the rows of each class (paper, section 4.3).

    Parameters
    ----------
    activations : Tensor, (N, m)
    labels : Tensor, (N,), int64

    Returns
    -------
    dict
        Class -> VR_1, for the classes that occur.
    """
    return {int(label): variance_ratio(activations[labels == label], 1) for label in torch.unique(labels).tolist()}


def _gram(X: Tensor) -> Tensor:
    """Smaller of X X^T and X^T X, summed in float64 over blocks of the longer side."""
    long = X if X.shape[0] >= X.shape[1] else X.T
    gram = torch.zeros(long.shape[1], long.shape[1], dtype=torch.float64, device=X.device)
    for start in range(0, len(long), BLOCK):
        block = long[start : start + BLOCK].double()
        gram.addmm_(block.T, block)
    return gram
