"""How W comes back to rank k after a gradient step: one interface, all on factors.

W' = (N^T B)^T (N^T B) with B = [X; F^T] (`lrbench.lowrank.step`). With Y the top k eigenvectors of the small core
N^T B B^T N, the best rank-k approximation (paper, section 3.2, equation 5) has the factor B^T N Y. Nystrom sampling
(section 3.3, equation 6) comes out as the same formula with the core of the sampled columns, N^T B_I B_I^T N: with
C = W'[:, I], W_l = W'[I, I] and W_l's top pairs (u_j, s_j), the factor C u_j / sqrt(s_j) equals B^T N y_j.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lrbench.lowrank.spectrum import draw_columns, smoothed_eigh
from lrbench.lowrank.step import Stepped


class Projected(NamedTuple):
    """Coefficients T of the new factor B^T T, (n + k, k), its Gram matrix, (k, k), and the error estimate.

    `error` is 0 for an exact decomposition; for a subspace Y of the core H found by iteration it is the residual
    ||H Y - Y (Y^T H Y)||_F / ||H||_F; for Nystrom, the share of W's trace that the result does not hold.
    """

    coefficients: Tensor
    gram: Tensor
    error: Tensor


class Projection(Protocol):
    """Brings W' to rank k."""

    def __call__(self, stepped: Stepped, seed: int) -> Projected:
        """Project; `seed` determines whatever is drawn at random."""


@dataclass(frozen=True)
class Exact:
    """The best approximation, by a full decomposition of the (n + k)-dimensional core."""

    def __call__(self, stepped: Stepped, seed: int) -> Projected:  # noqa: ARG002
        """Project."""
        eigenvalues, Y = _top(stepped.core(), stepped.W.rank)
        return Projected(stepped.coefficients(Y), torch.diag(eigenvalues), eigenvalues.new_zeros(()))


@dataclass(frozen=True)
class Nystrom:
    """Nystrom column sampling: `columns` sampled (default 2 k), `runs` averaged and truncated again."""

    columns: Tensor | int | None = None
    runs: int = 1

    def __call__(self, stepped: Stepped, seed: int) -> Projected:
        """Project; the dense counterpart is `lrbench.lowrank.nystrom`."""
        rank, features = stepped.W.rank, stepped.X.shape[1]
        generator = torch.Generator().manual_seed(seed)
        sampled = draw_columns(features, rank, self.columns, self.runs, generator).to(stepped.X.device)
        runs = [stepped.coefficients(_kept(stepped.sampled_core(columns), rank, len(columns))) for columns in sampled]
        T = torch.cat(runs, dim=1) / len(runs) ** 0.5
        gram = stepped.gram(T)
        if len(runs) > 1:
            eigenvalues, Y = _top(gram, rank)
            T, gram = T @ Y, torch.diag(eigenvalues)
        total = stepped.trace()
        return Projected(T, gram, (total - gram.trace()) / total)


@dataclass(frozen=True)
class Subspace:
    """Block iteration that starts from the subspace W has: no decomposition, and no host synchronisation on a GPU.

    The residual is read, which makes the host wait, at every `check`-th update on a GPU and at every one on a CPU;
    where it exceeds `bound`, that update is made exactly.
    """

    iterations: int = 1
    bound: float = 0.02
    check: int = 16

    def __call__(self, stepped: Stepped, seed: int) -> Projected:
        """Project; the low digits of `seed` count the updates."""
        core = stepped.core()
        Y = core[:, len(stepped.X) :]
        for _ in range(self.iterations):
            Y = core @ torch.linalg.qr(Y).Q
        Y = torch.linalg.qr(Y).Q
        image = core @ Y
        gram = Y.T @ image
        error = torch.linalg.matrix_norm(image - Y @ gram) / torch.linalg.matrix_norm(core)
        read = core.device.type == "cpu" or seed % self.check == 0
        if read and not error <= self.bound:
            return Exact()(stepped, seed)
        return Projected(stepped.coefficients(Y), (gram + gram.T) / 2, error)


def _top(H: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Top eigenvalues of a positive semidefinite matrix, ascending, and their vectors."""
    eigenvalues, vectors = smoothed_eigh((H + H.T) / 2)
    return eigenvalues[-rank:].clamp_min(0), vectors[:, -rank:]


def _kept(core: Tensor, rank: int, columns: int) -> Tensor:
    """Top eigenvectors; zero where the eigenvalue is zero to rounding and has no place in a pseudo-inverse."""
    eigenvalues, Y = _top(core, rank)
    cutoff = max(len(core), columns) * torch.finfo(core.dtype).eps * eigenvalues[-1]
    return Y * (eigenvalues > cutoff)
