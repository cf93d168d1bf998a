"""The LR-Layer: a virtual layer that regularises activations towards a low-rank affine subspace."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lrbench.lowrank.factors import LowRank
from lrbench.lowrank.gather import gathered
from lrbench.lowrank.interpolation import followed
from lrbench.lowrank.pieces import (
    Batch,
    LayerState,
    Penalty,
    Updated,
    check,
    check_steps,
    penalised,
    principal_projector,
    projection_of,
)
from lrbench.lowrank.projection import Exact, Projection, Subspace
from lrbench.lowrank.step import gradient_step
from lrbench.lowrank.stored import Stored
from lrbench.lowrank.watch import LateWatch

REFRESH = 16
"""Updates after which the factor is multiplied out: its two parts lose a little orthogonality with each."""


class LRLayer(Stored):
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
        block iteration from the last subspace, which never makes a GPU's host wait and is "exact" for an update when
        its residual grew.
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
        check(projection, {"rank": rank, "every": every}, {"lambda_1": lambda_1, "lambda_2": lambda_2})
        check_steps({"step": step, "bias_step": bias_step})
        project = projection_of(projection, columns, runs)
        super().__init__(features, rank, LateWatch(project.bound if isinstance(project, Subspace) else None))
        self.lambda_1, self.lambda_2 = lambda_1, lambda_2
        self.step, self.bias_step = step, bias_step
        self.every = every
        self.seed = seed
        self.projection, self.project = projection, project
        self._recorded: list[Tensor] = []
        self.batches: list[Batch] = []
        self.figures = {"residual": torch.zeros(()), "error": torch.zeros(())}

    def forward(self, activations: Tensor) -> Tensor:
        """Give `activations`, shape (n, ...), back; remember them while training."""
        if self.training and self.enabled:
            # A copy: what follows may work in place (ReLU, a sum with a shortcut), and a view would hold its output.
            self._recorded.append(activations.clone(memory_format=torch.contiguous_format).flatten(1))
        return activations

    def forget(self, *, batches: bool = False) -> None:
        """Drop what the last forward pass left behind: a new pass begins. With `batches`, what was penalised too."""
        self._recorded.clear()
        if batches:
            self.batches.clear()

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
        if not self.batches:
            return
        batches, self.batches = self.batches, []
        self.calls += 1
        if self.calls % self.every == 0:
            exact = self.watch.exceeded(self.updates)
            self.adopt(self.updated(batches, Exact() if exact else self.project))

    @torch.no_grad()
    def updated(self, batches: Sequence[Batch], project: Projection) -> Updated:
        """Give W and b after a step at some batches; on a GPU without changing those of the layer."""
        X, P = (gathered(torch.cat(parts) if len(parts) > 1 else parts[0]) for parts in zip(*batches, strict=True))
        W = self.factored
        mean = X.mean(dim=0)
        residual = W.apply(mean) - mean
        bias_gradient = W.apply(residual) - residual
        stepped = gradient_step(W, X, P, self.step)
        projected = project(stepped, self.seed * 1_000_003 + self.updates)
        W = followed(stepped, projected.coefficients, projected.gram)
        return Updated(W, self.bias - self.bias_step * bias_gradient, projected.error)

    @torch.no_grad()
    def adopt(self, new: Updated) -> None:
        """Take W and b over; now and then multiply the factor out, and compute its Gram matrix anew."""
        self._keep(new.W)
        self.bias.copy_(new.bias)
        self._note("error", new.error)
        self.watch.send(self.updates, self.figures["error"])
        self.updates += 1
        if self.updates % REFRESH == 0:
            self._keep(self.factored.refreshed())

    @torch.no_grad()
    def state(self) -> LayerState:
        """Say what the layer is doing; makes the host wait for a GPU."""
        if not self.started:
            return LayerState(0, 0.0, 0.0, 0.0)
        eigenvalues = torch.linalg.eigvalsh(self.gram.double())
        rank = int((eigenvalues > 1e-4 * eigenvalues[-1].clamp_min(1e-30)).sum())
        return LayerState(rank, eigenvalues[-1].item(), self.figures["residual"].item(), self.figures["error"].item())

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
        weights = (self.lambda_1, self.lambda_2)
        penalty, residual, P = penalised(activations, X, self.factored, weights)
        self._note("residual", residual)
        self.batches.append(Batch(X.detach(), P.detach()))
        return penalty

    def _keep(self, W: LowRank) -> None:
        for kept, new in ((self.rows, W.rows), (self.mix, W.mix), (self.gram, W.gram)):
            if kept is not new:
                kept.copy_(new)

    def _note(self, name: str, figure: Tensor) -> None:
        """Keep a figure in the same memory, where a recorded update finds it."""
        if self.figures[name].device == figure.device:
            self.figures[name].copy_(figure)
        else:
            self.figures[name] = figure.clone()

    @torch.no_grad()
    def _start(self, X: Tensor) -> None:
        W = LowRank.from_factor(principal_projector(gathered(X), self.rank))
        self.rows, self.mix, self.gram = W.rows, W.mix, W.gram
        self.started = True
