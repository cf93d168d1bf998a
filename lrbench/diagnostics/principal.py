"""Leading singular directions of large activation matrices, streamed, with a bound on what they miss."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lrbench.diagnostics.blocks import ROWS, Matrix, blocks_of

GRAM_SIZE = 1024
"""Up to this smaller side the Gram matrix is decomposed whole; beyond, Krylov iteration is cheaper."""

OVERSAMPLING = 10
MAX_PASSES = 24


@dataclass(frozen=True)
class Principal:
    """The k leading right singular directions of a matrix, centred or not.

    Attributes
    ----------
    squares : Tensor, (k,), float64
        Squared singular values, descending. From below: a true partial sum lies between the partial sum of these and
        that plus `error` times `total`.
    components : Tensor, (k, m)
        Orthonormal rows.
    mean : Tensor, (m,), float64
        What was subtracted from every row; zeros if not centred.
    total : float
        Sum of all squared singular values: the squared Frobenius norm.
    error : Tensor, (k,), float64
        Bound on the error of each partial sum of `squares`, as a share of `total`; 0 where the decomposition was
        a direct one.
    """

    squares: Tensor
    components: Tensor
    mean: Tensor
    total: float
    error: Tensor

    def to(self, device: torch.device) -> "Principal":
        """Bring to a device."""
        parts = (self.squares, self.components, self.mean, self.error)
        squares, components, mean, error = (part.to(device) for part in parts)
        return Principal(squares, components, mean, self.total, error)


def principal(
    matrix: Matrix, k: int | None = None, *, center: bool = False, tol: float = 1e-4, seed: int = 0
) -> Principal:
    """Leading right singular directions, holding a few blocks of the matrix at a time.

    Small sides: the Gram matrix in float64. Otherwise block Krylov iteration on X^T X (Musco and Musco, NeurIPS
    2015) from a random start, in float32, one pass over the rows per step, until the residuals
    r_i = X^T X v_i - s_i^2 v_i of the Ritz vectors satisfy sum_i ||r_i|| <= tol * total. By Ky Fan's inequality that
    sum bounds what the partial sums of `squares` miss, unless the random start misses a leading direction altogether.

    Parameters
    ----------
    matrix : Tensor (N, m) or StoredMatrix
    k : int, optional
        How many; at most min(N, m). Default: all of them, from the Gram matrix, whatever its size.
    center : bool
        Subtract the mean of the rows: principal component analysis.
    tol : float
        Bound on the error, as a share of the squared Frobenius norm.
    seed : int
        Of the random start.

    Raises
    ------
    ValueError
        If the matrix is empty, not finite or all zero.
    ArithmeticError
        If `tol` is not reached in `MAX_PASSES` passes.
    """
    rows, features = _checked_shape(matrix)
    smaller = min(rows, features)
    count = smaller if k is None else min(k, smaller)
    mean, total = _moments(matrix, center=center)
    if k is None or smaller <= max(GRAM_SIZE, 8 * (count + OVERSAMPLING)):
        found = _direct(matrix, count, mean)
    else:
        found = _iterated(matrix, count, mean, total, tol, seed)
    return found.to(matrix.device if isinstance(matrix, Tensor) else torch.device("cpu"))


def _checked_shape(matrix: Matrix) -> tuple[int, int]:
    shape = tuple(matrix.shape)
    if len(shape) != 2 or 0 in shape:
        msg = f"activations must be a non-empty matrix, one row an example; got shape {shape}"
        raise ValueError(msg)
    return shape


def _moments(matrix: Matrix, *, center: bool) -> tuple[Tensor, float]:
    """Mean of the rows (zero if not centred), float64, and the squared norm about it."""
    rows, features = matrix.shape
    sums = torch.zeros(features, dtype=torch.float64)
    squares = 0.0
    for block in blocks_of(matrix):
        squares += block.square().sum(dim=1, dtype=torch.float64).sum().item()
        sums = sums.to(block.device)
        if center:
            sums += block.sum(dim=0, dtype=torch.float64)
    mean = sums / rows
    total = squares - rows * mean.square().sum().item()
    if not 0 < total < float("inf"):
        msg = "activations must be finite and not all zero" + (" or all the same" if center else "")
        raise ValueError(msg)
    return mean, total


def _direct(matrix: Matrix, count: int, mean: Tensor) -> Principal:
    rows, features = matrix.shape
    if features <= rows:
        gram = torch.zeros(features, features, dtype=torch.float64, device=mean.device)
        for block in blocks_of(matrix):
            centred = block.double() - mean
            gram.addmm_(centred.T, centred)
        squares, vectors = torch.linalg.eigh(gram)
        components = vectors[:, -count:].flip(1).T
    else:
        X = torch.cat([block.clone() for block in blocks_of(matrix)])
        gram = torch.zeros(rows, rows, dtype=torch.float64, device=mean.device)
        for part, shift in zip(torch.split(X, ROWS, dim=1), torch.split(mean, ROWS), strict=True):
            centred = part.double() - shift
            gram.addmm_(centred, centred.T)
        squares, vectors = torch.linalg.eigh(gram)
        left = vectors[:, -count:].flip(1)
        raw = left.T @ (X.double() - mean)
        components = raw / torch.linalg.vector_norm(raw, dim=1, keepdim=True).clamp_min(1e-300)
    squares = squares.clamp_min(0).flip(0)
    # Rounding apart `total` is their sum; taking that makes the last ratio 1.
    return Principal(squares[:count], components, mean, squares.sum().item(), torch.zeros_like(squares[:count]))


def _iterated(matrix: Matrix, count: int, mean: Tensor, total: float, tol: float, seed: int) -> Principal:
    features = matrix.shape[1]
    generator = torch.Generator().manual_seed(seed)
    Q = torch.randn(features, count + OVERSAMPLING, generator=generator, dtype=torch.float32)
    Q = torch.linalg.qr(Q.to(mean.device)).Q
    image = _image(matrix, mean)
    basis, images = Q[:, :0], Q[:, :0]
    for _ in range(MAX_PASSES):
        Z = image(Q)
        basis, images = torch.cat([basis, Q], dim=1), torch.cat([images, Z], dim=1)
        core = (basis.T @ images).double()
        squares, Y = torch.linalg.eigh((core + core.T) / 2)
        squares, Y = squares[-count:].flip(0), Y[:, -count:].flip(1).float()
        vectors = basis @ Y
        residuals = torch.linalg.vector_norm(images @ Y - vectors * squares.float(), dim=0).double()
        error = residuals.cumsum(0) / total
        if error[-1] <= tol:
            return Principal(squares.clamp_min(0), vectors.T, mean, total, error)
        Q = _beyond(basis, Z)
    msg = f"{MAX_PASSES} passes over the activations leave an error of {error[-1].item():.1e}, above {tol:.1e}"
    raise ArithmeticError(msg)


def _beyond(basis: Tensor, Z: Tensor) -> Tensor:
    """Orthonormal columns for what of Z lies outside the basis.

    Where little does, what is left of a column after the projection is rounding, of which scaling to length 1 makes
    a direction that is not orthogonal to the basis at all: hence project again what was scaled.
    """
    Q = Z
    for _ in range(3):
        Q = torch.linalg.qr(Q - basis @ (basis.T @ Q)).Q
    return Q


def _image(matrix: Matrix, mean: Tensor) -> Callable[[Tensor], Tensor]:
    """Q -> (X - mean)^T (X - mean) Q, in one pass over the rows."""
    rows = matrix.shape[0]
    centre = mean.float()
    centred = bool(centre.any())

    def apply(Q: Tensor) -> Tensor:
        result = torch.zeros_like(Q)
        for block in blocks_of(matrix):
            X = block.to(Q.dtype)
            result.addmm_(X.T, X @ Q)
        return result - rows * torch.outer(centre, centre @ Q) if centred else result

    return apply
