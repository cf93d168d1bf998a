"""The LR-Layer: a virtual layer that regularises activations towards a low-rank affine subspace."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lrbench.lowrank.factors import LowRank
from lrbench.lowrank.gather import gathered
from lrbench.lowrank.interpolation import interpolated
from lrbench.lowrank.pieces import LayerState, Penalty, check, check_steps, principal_projector, projection_of
from lrbench.lowrank.step import gradient_step

REFRESH = 16
"""Updates after which the factor is multiplied out: its two parts lose a little orthogonality with each."""


class _Batch(NamedTuple):
    shifted: Tensor  # X = A + b, (n, m)
    coordinates: Tensor  # P = X rows^T, (n, k)


class LRLayer(nn.Module):
    """Virtual low-rank layer (paper, sections 2-3, Algorithm 1).

    `forward` gives its input back unchanged. In training mode and while `enabled` it remembers the batch, so
    that `penalty` can add

        L_c = lambda_1 / n * sum_i ||W (a_i + b) - (a_i + b)||^2      (reconstruction)
        L_N = lambda_2 / n * sum_i |1 - ||a_i|||                      (norm)

    to the loss, and `update`, called after the optimiser's step, can take a gradient step on W and b and
    project W back to rank <= `rank`. W is symmetric positive semidefinite and kept as a thin factor; no m x m
    matrix is formed. At the first batch W starts as the projector onto its top right-singular vectors (the paper
    names no start).

    The plain gradient step diverges at once on activations of ordinary size, so the step is relative to the
    inverse Lipschitz constant of L_c's gradient, 2 lambda_1 / n * sigma_max(X)^2, with sigma_max(X)^2
    bounded by ||X X^T||_F. Within (0, 2) it cannot diverge, and up to 1 it keeps W positive semidefinite.

    With several forward passes before an update (gradient accumulation) the update sees all their batches. In a
    data-parallel run (`torch.distributed`) it sees those of every rank, and every rank makes the same update;
    the ranks' batches must be equally large.

    Parameters
    ----------
    features : int or None
        m, entries of one example's activation. None: taken from the first batch.
    rank : int
        k, the largest rank of W.
    projection : {"exact", "nystrom", "subspace"}
        How W is brought back to rank k after a step: the best approximation; the paper's column sampling; or
        block iteration from the last subspace, which never makes a GPU's host wait and falls back to "exact" when
        its residual grows.
    lambda_1, lambda_2 : float, >= 0
        Weights of L_c and L_N.
    step : float in (0, 1]
        W's step in units of the inverse Lipschitz constant.
    bias_step : float in (0, 1]
        b's step in the same units; also the share of the newest batch in b's moving average.
    every : int
        Update W and b at every such call of `update` only; the penalties stay.
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

    rows: Tensor
    mix: Tensor
    gram: Tensor
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
        every: int = 1,
        columns: int | Tensor | None = None,
        runs: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check(projection, {"rank": rank, "every": every}, {"lambda_1": lambda_1, "lambda_2": lambda_2})
        check_steps({"step": step, "bias_step": bias_step})
        self.rank = rank
        self.lambda_1, self.lambda_2 = lambda_1, lambda_2
        self.step, self.bias_step = step, bias_step
        self.every = every
        self.seed = seed
        self.enabled = True
        self.calls = self.updates = 0
        self.started = False
        self.projection = projection
        self._project = projection_of(projection, columns, runs)
        self._recorded: list[Tensor] = []
        self._batches: list[_Batch] = []
        self._residual = self._error = torch.zeros(())
        for name in ("rows", "mix", "gram", "bias"):
            self.register_buffer(name, torch.zeros(0))
        if features is not None:
            self._allocate(features, torch.empty(0))

    @property
    def features(self) -> int | None:
        """m, or None before the first batch of a layer that was made without it."""
        return len(self.bias) or None

    @property
    def factored(self) -> LowRank:
        """W as a product of thin matrices."""
        return LowRank(self.rows, self.mix, self.gram)

    @property
    def weight(self) -> Tensor:
        """W, dense, (m, m); for inspection only."""
        return self.factored.dense()

    def forward(self, activations: Tensor) -> Tensor:
        """Give `activations`, shape (n, ...), back; remember them while training."""
        if self.training and self.enabled:
            self._recorded.append(activations.flatten(1))
        return activations

    def forget(self, *, batches: bool = False) -> None:
        """Drop what the last forward pass left behind: a new pass begins. With `batches`, what was penalised too."""
        self._recorded.clear()
        if batches:
            self._batches.clear()

    def penalty(self) -> Penalty:
        """L_c and L_N of the batch remembered by the last forward pass; zeros if there is none.

        Gradients of both reach the network through the activations. Computed in the layer's own precision, under
        autocast too.
        """
        if not self._recorded:
            return Penalty(self.bias.new_zeros(()), self.bias.new_zeros(()))
        recorded, self._recorded = self._recorded, []
        with torch.autocast(recorded[0].device.type, enabled=False):
            return self._penalty(recorded)

    @torch.no_grad()
    def update(self) -> None:
        """Step W and b down L_c's gradient at the batches penalised since the last call, and project W.

        W <- Pi_k(W - eta sym(dL_c/dW)), b <- b - eta_b dL_c/db (paper, Algorithm 1 and section 3.4). Does nothing
        if there were no batches, or at the calls that `every` leaves out.
        """
        if not self._batches:
            return
        batches, self._batches = self._batches, []
        self.calls += 1
        if self.calls % self.every:
            return
        X, P = (gathered(torch.cat(parts) if len(parts) > 1 else parts[0]) for parts in zip(*batches, strict=True))
        W = self.factored
        mean = X.mean(dim=0)
        residual = W.apply(mean) - mean
        bias_gradient = W.apply(residual) - residual
        stepped = gradient_step(W, X, P, self.step)
        projected = self._project(stepped, self.seed * 1_000_003 + self.updates)
        W = interpolated(stepped, projected.coefficients, projected.gram)
        self.updates += 1
        if self.updates % REFRESH == 0:
            W = W.refreshed()
        self.rows, self.mix, self.gram = W.rows, W.mix, W.gram
        self._error = projected.error
        self.bias.sub_(self.bias_step * bias_gradient)

    @torch.no_grad()
    def state(self) -> LayerState:
        """Say what the layer is doing; makes the host wait for a GPU."""
        if not self.started:
            return LayerState(0, 0.0, 0.0, 0.0)
        eigenvalues = torch.linalg.eigvalsh(self.gram.double())
        rank = int((eigenvalues > 1e-4 * eigenvalues[-1].clamp_min(1e-30)).sum())
        return LayerState(rank, eigenvalues[-1].item(), self._residual.item(), self._error.item())

    def get_extra_state(self) -> Tensor:
        """Give what the buffers do not hold: calls, updates, whether W has started, whether the layer is on."""
        return torch.tensor([self.calls, self.updates, int(self.started), int(self.enabled)])

    def set_extra_state(self, state: Tensor) -> None:
        """Counterpart of `get_extra_state`."""
        self.calls, self.updates, started, enabled = (int(entry) for entry in state)
        self.started, self.enabled = bool(started), bool(enabled)

    def extra_repr(self) -> str:
        """Show m, k, the projection and the weights of the penalties."""
        return (
            f"features={self.features}, rank={self.rank}, projection={self.projection!r}, "
            f"lambda_1={self.lambda_1}, lambda_2={self.lambda_2}"
        )

    def _penalty(self, recorded: list[Tensor]) -> Penalty:
        if not self.features:
            self._allocate(recorded[0].shape[1], recorded[0])
        activations = torch.cat(recorded).to(self.rows.dtype)
        if activations.shape[1] != self.features:
            msg = f"this LR-Layer has {self.features} features; the activations have {activations.shape[1]}"
            raise ValueError(msg)
        X = activations + self.bias
        if not self.started:
            self._start(X.detach())
        P = X @ self.rows.T
        R = P @ (self.mix @ self.mix.T) @ self.rows - X
        self._batches.append(_Batch(X.detach(), P.detach()))
        squares = R.square().sum()
        with torch.no_grad():
            self._residual = (squares / X.square().sum()).sqrt()
        norms = torch.linalg.vector_norm(activations, dim=1)
        return Penalty(self.lambda_1 * squares / len(X), self.lambda_2 * (1 - norms).abs().mean())

    @torch.no_grad()
    def _start(self, X: Tensor) -> None:
        W = LowRank.from_factor(principal_projector(gathered(X), self.rank))
        self.rows, self.mix, self.gram = W.rows, W.mix, W.gram
        self.started = True

    def _allocate(self, features: int, like: Tensor) -> None:
        if self.rank > features:
            msg = f"rank {self.rank} is larger than the {features} features of this layer; choose 1..{features}"
            raise ValueError(msg)
        device = self.bias.device if like.numel() == 0 else like.device
        self.rows = torch.zeros(self.rank, features, device=device)
        self.mix = torch.eye(self.rank, device=device)
        self.gram = torch.zeros(self.rank, self.rank, device=device)
        self.bias = torch.zeros(features, device=device)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:  # noqa: ANN401
        stored = state_dict.get(prefix + "bias")
        if stored is not None and not self.features and len(stored):
            self._allocate(len(stored), torch.empty(0))
        super()._load_from_state_dict(state_dict, prefix, *args)
