"""The LR-Layer: a virtual layer that presses activations towards a low-rank affine subspace."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lrbench.lowrank.projection import Factored, Nystrom, Projection, exact
from lrbench.lowrank.spectrum import top_eigenpairs

PROJECTIONS = ("exact", "nystrom")


class Penalty(NamedTuple):
    """The two penalties of a batch, scalars: reconstruction L_c and norm L_N, their weights included."""

    reconstruction: Tensor
    norm: Tensor


class _Batch(NamedTuple):
    shifted: Tensor  # X = A + b, (n, m)
    coordinates: Tensor  # P = X V, (n, k)
    residual: Tensor  # R = X W - X, (n, m)


class LRLayer(nn.Module):
    """Virtual low-rank layer (paper, sections 2-3, Algorithm 1).

    `forward` gives its input back unchanged. In training mode and while `enabled` it remembers the batch, so
    that `penalty` can add

        L_c = lambda_1 / n * sum_i ||W (a_i + b) - (a_i + b)||^2      (reconstruction)
        L_N = lambda_2 / n * sum_i |1 - ||a_i|||                      (norm)

    to the loss, and `update`, called after the optimiser's step, can take a gradient step on W and b and
    project W back to rank <= `rank`. W is symmetric positive semidefinite and kept as an m x k factor V with
    W = V V^T; no m x m matrix is formed. At the first batch W starts as the projector onto its top
    right-singular vectors (the paper names no start).

    The plain gradient step diverges at once on activations of ordinary size, so the step is relative to the
    inverse Lipschitz constant of L_c's gradient, 2 lambda_1 / n * sigma_max(X)^2, with sigma_max(X)^2
    bounded by ||X X^T||_F. Within (0, 2) it cannot diverge, and up to 1 it keeps W positive semidefinite.

    Parameters
    ----------
    features : int or None
        m, entries of one example's activation. None: taken from the first batch.
    rank : int
        k, the largest rank of W.
    projection : {"exact", "nystrom"}
        How W is brought back to rank k after a step.
    lambda_1, lambda_2 : float, >= 0
        Weights of L_c and L_N.
    step : float in (0, 1]
        W's step in units of the inverse Lipschitz constant.
    bias_step : float in (0, 1]
        b's step in the same units; also the share of the newest batch in b's moving average.
    columns : int, optional
        Nystrom's number l of sampled columns. Default: 2 rank.
    runs : int
        Nystrom's ensemble size t.
    seed : int
        Of Nystrom's sampling; draws depend on it and on the number of updates alone.

    Raises
    ------
    ValueError
        If a parameter is out of range or `projection` unknown.
    """

    factor: Tensor
    bias: Tensor

    def __init__(  # noqa: PLR0913
        self,
        features: int | None,
        rank: int,
        projection: str = "exact",
        *,
        lambda_1: float = 1.0,
        lambda_2: float = 0.1,
        step: float = 1.0,
        bias_step: float = 0.1,
        columns: int | None = None,
        runs: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check(rank, projection, lambda_1, lambda_2, step, bias_step)
        self.rank = rank
        self.lambda_1, self.lambda_2 = lambda_1, lambda_2
        self.step, self.bias_step = step, bias_step
        self.seed = seed
        self.enabled = True
        self.updates = 0
        self.projection = projection
        self._project: Projection = exact if projection == "exact" else Nystrom(columns, runs)
        self._recorded: list[Tensor] = []
        self._batch: _Batch | None = None
        self.register_buffer("factor", torch.zeros(0, rank))
        self.register_buffer("bias", torch.zeros(0))
        if features is not None:
            self._allocate(features)

    @property
    def features(self) -> int | None:
        """m, or None before the first batch of a layer that was made without it."""
        return len(self.bias) or None

    @property
    def weight(self) -> Tensor:
        """W, dense, (m, m); for inspection only."""
        return self.factor @ self.factor.T

    def forward(self, activations: Tensor) -> Tensor:
        """Give `activations`, shape (n, ...), back; remember them while training."""
        if self.training and self.enabled:
            self._recorded.append(activations.flatten(1))
        return activations

    def forget(self) -> None:
        """Drop what was remembered: a new pass through the network begins."""
        self._recorded.clear()

    def penalty(self) -> Penalty:
        """L_c and L_N of the batch remembered by the last forward pass; zeros if there is none.

        Gradients of both reach the network through the activations.
        """
        if not self._recorded:
            return Penalty(self.bias.new_zeros(()), self.bias.new_zeros(()))
        if not self.features:
            self._allocate(self._recorded[0].shape[1], like=self._recorded[0])
        activations = torch.cat(self._recorded).to(self.factor.dtype)
        self.forget()
        if activations.shape[1] != self.features:
            msg = f"this LR-Layer has {self.features} features; the activations have {activations.shape[1]}"
            raise ValueError(msg)
        X = activations + self.bias
        if self.updates == 0 and not self.factor.any():
            self.factor.copy_(_principal_projector(X.detach(), self.rank))
        P = X @ self.factor
        R = P @ self.factor.T - X
        self._batch = _Batch(X.detach(), P.detach(), R.detach())
        reconstruction = self.lambda_1 * R.square().sum() / len(X)
        norms = torch.linalg.vector_norm(activations, dim=1)
        return Penalty(reconstruction, self.lambda_2 * (1 - norms).abs().mean())

    @torch.no_grad()
    def update(self) -> None:
        """Step W and b down L_c's gradient at the last penalised batch and project W; nothing if there is none.

        W <- Pi_k(W - eta sym(dL_c/dW)), b <- b - eta_b dL_c/db (paper, Algorithm 1 and section 3.4).
        """
        if self._batch is None:
            return
        batch, self._batch = self._batch, None
        mean_residual = batch.residual.mean(dim=0)
        gradient = self.factor @ (self.factor.T @ mean_residual) - mean_residual
        stepped = gradient_step(self.factor, batch.shifted, batch.coordinates, self.step)
        self.factor.copy_(self._project(stepped, self.rank, seed=self.seed * 1_000_003 + self.updates))
        self.bias.sub_(self.bias_step * gradient)
        self.updates += 1

    def get_extra_state(self) -> Tensor:
        """Give the number of updates taken and whether the layer is on, for the checkpoint."""
        return torch.tensor([self.updates, int(self.enabled)])

    def set_extra_state(self, state: Tensor) -> None:
        """Counterpart of `get_extra_state`."""
        self.updates, self.enabled = int(state[0]), bool(state[1])

    def extra_repr(self) -> str:
        """Show m, k, the projection and the weights of the penalties."""
        return (
            f"features={self.features}, rank={self.rank}, projection={self.projection!r}, "
            f"lambda_1={self.lambda_1}, lambda_2={self.lambda_2}"
        )

    def _allocate(self, features: int, like: Tensor | None = None) -> None:
        if self.rank > features:
            msg = f"rank {self.rank} is larger than the {features} features of this layer; choose 1..{features}"
            raise ValueError(msg)
        device = self.bias.device if like is None else like.device
        self.factor = torch.zeros(features, self.rank, device=device)
        self.bias = torch.zeros(features, device=device)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        stored = state_dict.get(prefix + "bias")
        if stored is not None and not self.features and len(stored):
            self._allocate(len(stored))
        super()._load_from_state_dict(state_dict, prefix, *args)


def gradient_step(V: Tensor, X: Tensor, P: Tensor, step: float) -> Factored:
    """W - eta sym(dL_c/dW) as a factored matrix, with eta = step / Lipschitz bound; lambda_1 cancels.

    With c = eta lambda_1 / n and P = X V the step reads
    V V^T - c (V P^T X + X^T P V^T) + 2 c X^T X, which is B M B^T for B = [V, sqrt(c) X^T].

    Parameters
    ----------
    V : Tensor, (m, k)
        Factor of W.
    X : Tensor, (n, m)
        Shifted activations A + b.
    P : Tensor, (n, k)
        X V.
    step : float
        Relative step, as in `LRLayer`.
    """
    bound = torch.linalg.matrix_norm(X @ X.T)
    c = step / (2 * bound.clamp_min(torch.finfo(X.dtype).tiny))
    Q = c.sqrt() * P
    n, k = P.shape
    eye_k = torch.eye(k, dtype=V.dtype, device=V.device)
    eye_n = torch.eye(n, dtype=V.dtype, device=V.device)
    core = torch.cat([torch.cat([eye_k, -Q.T], dim=1), torch.cat([-Q, 2 * eye_n], dim=1)])
    return Factored(torch.cat([V, c.sqrt() * X.T], dim=1), core)


def _principal_projector(X: Tensor, rank: int) -> Tensor:
    """Orthonormal columns spanning X's top right-singular vectors, zero-padded to `rank`."""
    squares, left = top_eigenpairs(X @ X.T, min(rank, len(X)))
    return nn.functional.pad(X.T @ (left * squares.rsqrt()), (0, rank - len(squares)))


def _check(rank: int, projection: str, lambda_1: float, lambda_2: float, step: float, bias_step: float) -> None:
    if rank < 1:
        msg = f"rank must be at least 1, got {rank}"
        raise ValueError(msg)
    if projection not in PROJECTIONS:
        msg = f"projection must be one of {', '.join(PROJECTIONS)}, got {projection!r}"
        raise ValueError(msg)
    for name, value in {"lambda_1": lambda_1, "lambda_2": lambda_2}.items():
        if not 0 <= value < float("inf"):
            msg = f"{name} must be a finite number >= 0, got {value}"
            raise ValueError(msg)
    for name, value in {"step": step, "bias_step": bias_step}.items():
        if not 0 < value <= 1:
            msg = f"{name} must lie in (0, 1], got {value}"
            raise ValueError(msg)
