"""Variance ratio: how much of the activations the first k singular directions hold (paper, section 4)."""

from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from lrbench.diagnostics.blocks import Matrix
from lrbench.diagnostics.principal import principal


@dataclass(frozen=True)
class VarianceSpectrum:
    """VR_1..VR_k of a matrix: the true ratio lies in [ratios[i], ratios[i] + error[i]] (both (k,), float64)."""

    ratios: Tensor
    error: Tensor


def variance_spectrum(activations: Matrix, k: int | None = None, *, tol: float = 1e-4) -> VarianceSpectrum:
    """VR_1..VR_k, for all k up to min(N, m) if none is named, streamed over the rows.

    For all k, or a small side, from the Gram matrix in float64 (the smaller of N x N and m x m is held); else from
    block Krylov iteration, which holds a few blocks of rows and vectors (`lrbench.diagnostics.principal`).

    Parameters
    ----------
    activations : Tensor (N, m) or StoredMatrix
    k : int, optional
    tol : float
        Bound on the error.

    Raises
    ------
    ValueError
        If the activations are not a matrix, not finite or all zero.
    ArithmeticError
        If `tol` cannot be reached.
    """
    found = principal(activations, k, tol=tol)
    return VarianceSpectrum((found.squares.cumsum(0) / found.total).clamp_max(1), found.error)


@overload
def variance_ratio(activations: Matrix, k: int) -> float: ...


@overload
def variance_ratio(activations: Matrix, k: list[int]) -> list[float]: ...


def variance_ratio(activations: Matrix, k: int | list[int]) -> float | list[float]:
    """VR_k = sum of the k largest squared singular values over the sum of all (paper, equation 7).

    Not centred: the paper applies the LR-Layer's b before, if there is one (section 4.2). Leakage is 1 - VR_k.
    Small sides are decomposed in float64; large ones are within 1e-4 from below (`variance_spectrum`).

    Parameters
    ----------
    activations : Tensor (N, m) or StoredMatrix
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
    if any(each < 1 for each in ks):
        msg = f"k must be at least 1, got {k}"
        raise ValueError(msg)
    shares = variance_spectrum(activations, max(ks)).ratios
    ratios = [shares[min(each, len(shares)) - 1].item() for each in ks]
    return ratios[0] if isinstance(k, int) else ratios


def class_variance_ratios(activations: Matrix, labels: Tensor) -> dict[int, float]:
    """VR_1 of the rows of each class (paper, section 4.3).

    Parameters
    ----------
    activations : Tensor (N, m) or StoredMatrix
    labels : Tensor, (N,), int64
        Ascending, if the activations are stored.

    Returns
    -------
    dict
        Class -> VR_1, for the classes that occur.

    Raises
    ------
    ValueError
        If the activations are stored and the labels do not ascend.
    """
    if isinstance(activations, Tensor):
        return {int(label): variance_ratio(activations[labels == label], 1) for label in torch.unique(labels).tolist()}
    if not bool((labels.diff() >= 0).all()):
        msg = "rows that are stored must be sorted by class"
        raise ValueError(msg)
    classes, counts = torch.unique_consecutive(labels, return_counts=True)
    ends = counts.cumsum(0).tolist()
    runs = [slice(end - count, end) for end, count in zip(ends, counts.tolist(), strict=True)]
    return {label: variance_ratio(activations.part(run), 1) for label, run in zip(classes.tolist(), runs, strict=True)}


def effective_rank(activations: Matrix) -> float:
    """Effective rank: exp of the entropy of the singular values, normalised to sum 1 (Roy and Vetterli, EUSIPCO 2007).

    Between 1 and min(N, m). From the Gram matrix of the smaller side, in float64.

    Parameters
    ----------
    activations : Tensor (N, m) or StoredMatrix

    Raises
    ------
    ValueError
        If the activations are not a matrix, not finite or all zero.
    """
    singular = principal(activations).squares.sqrt()
    # Below this a squared singular value is the rounding of the Gram matrix.
    singular = singular[singular > singular[0] * len(singular) ** 0.5 * 1e-8]
    share = singular / singular.sum()
    return float((-share * share.log()).sum().exp())


def stable_rank(activations: Matrix) -> float:
    """Stable rank ||A||_F^2 / ||A||_2^2 (Rudelson and Vershynin, 2007): 1 / VR_1.

    Parameters
    ----------
    activations : Tensor (N, m) or StoredMatrix

    Raises
    ------
    ValueError
        If the activations are not a matrix, not finite or all zero.
    """
    return 1 / variance_ratio(activations, 1)
