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

from lrbench.lowrank import devices
from lrbench.lowrank.orthonormal import completed, orthonormal
from lrbench.lowrank.spectrum import draw_columns, smoothed_eigh
from lrbench.lowrank.step import Stepped
from lrbench.lowrank.watch import CHECK


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
    """Nystrom column sampling: `columns` sampled (default 2 k), `runs` averaged and truncated again.

    On a GPU the sampled matrix is decomposed by block iteration, as in `Subspace`, and the host waits once in `check`
    updates; with several runs at each, for the eigenvectors of their average. On a CPU by its eigenvectors.
    """

    columns: Tensor | int | None = None
    runs: int = 1
    iterations: int = 2
    bound: float = 0.02
    check: int = CHECK

    def __call__(self, stepped: Stepped, seed: int) -> Projected:
        """Project; the dense counterpart is `lrbench.lowrank.nystrom`."""
        rank, features = stepped.W.rank, stepped.X.shape[1]
        generator = torch.Generator().manual_seed(seed)
        sampled = devices.sent(draw_columns(features, rank, self.columns, self.runs, generator), stepped.X.device)
        runs = [stepped.coefficients(self._basis(stepped, columns, seed)) for columns in sampled]
        T = torch.cat(runs, dim=1) / len(runs) ** 0.5
        gram = stepped.gram(T)
        if len(runs) > 1:
            eigenvalues, Y = _top(gram, rank)
            T, gram = T @ Y, torch.diag(eigenvalues)
        total = stepped.trace()
        return Projected(T, gram, (total - gram.trace()) / total.clamp_min(torch.finfo(total.dtype).tiny))

    def _basis(self, stepped: Stepped, columns: Tensor, seed: int) -> Tensor:
        """Orthonormal basis of the top eigenspace of what the sampled columns give."""
        core, rank = stepped.sampled_core(columns), stepped.W.rank
        if not devices.on_cpu(core):
            found = _iterated(core, len(stepped.X), self.iterations)
            if seed % self.check or found.error <= self.bound:
                return found.basis
        return _kept(core, rank, len(columns))


@dataclass(frozen=True)
class Subspace:
    """Block iteration that starts from the subspace W has: no decomposition, and no host synchronisation on a GPU.

    On a CPU an update whose residual exceeds `bound` is made exactly; on a GPU, where asking would wait, the LR-Layer
    asks a little later, and the update after that is (`lrbench.lowrank.watch`).
    """

    iterations: int = 1
    bound: float = 0.02

    def __call__(self, stepped: Stepped, seed: int) -> Projected:
        """Project."""
        core = stepped.core()
        found = _iterated(core, len(stepped.X), self.iterations)
        if devices.on_cpu(core) and not found.error <= self.bound:
            return Exact()(stepped, seed)
        return Projected(stepped.coefficients(found.basis), (found.gram + found.gram.T) / 2, found.error)


class _Subspace(NamedTuple):
    """Orthonormal Y, (p, k); Y^T H Y; and ||H Y - Y (Y^T H Y)||_F / ||H||_F."""

    basis: Tensor
    gram: Tensor
    error: Tensor


def _iterated(core: Tensor, n: int, iterations: int) -> _Subspace:
    """Top eigenspace of the core, (n + k, n + k), by block iteration from the subspace that W has."""
    Y = core[:, n:]
    if not devices.on_cpu(core):
        Y = completed(Y, core[:, :n])
    for _ in range(iterations):
        # Between products a basis need only be well conditioned.
        Y = core @ orthonormal(Y, rounds=1)
    Y = orthonormal(Y)
    image = core @ Y
    gram = Y.T @ image
    size = torch.linalg.matrix_norm(core).clamp_min(torch.finfo(core.dtype).tiny)
    return _Subspace(Y, gram, torch.linalg.matrix_norm(image - Y @ gram) / size)


def _top(H: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Top eigenvalues of a positive semidefinite matrix, ascending, and their vectors."""
    eigenvalues, vectors = smoothed_eigh((H + H.T) / 2, smoothed=False)
    return eigenvalues[-rank:].clamp_min(0), vectors[:, -rank:]


def _kept(core: Tensor, rank: int, columns: int) -> Tensor:
    """Top eigenvectors; zero where the eigenvalue is zero to rounding and has no place in a pseudo-inverse."""
    eigenvalues, Y = _top(core, rank)
    cutoff = max(len(core), columns) * torch.finfo(core.dtype).eps * eigenvalues[-1]
    return Y * (eigenvalues > cutoff)
