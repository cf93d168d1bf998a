"""Auto-PGD: PGD that sets its own step size.

Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks*, 2020, section 3 and algorithm 1. Where the paper leaves something open, or the authors' code
(fra31/auto-attack) does it otherwise, it is done as in their code, since that is what published figures come from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .base import Attack, named
from .cost import FORWARD
from .geometry import BALLS, unsqueeze_like
from .gradients import input_gradient
from .inputs import Bounds
from .losses import LOSSES, misclassified, too_few
from .noise import Noise
from .ranges import check_ball

Objective = Callable[[Tensor, Tensor], Tensor]

MOMENTUM = 0.75
NEEDED_INCREASES = 0.75
"""More than this share of the steps must have raised the loss, lest the step size be halved."""


def checkpoints(steps: int) -> list[int]:
    """Give the iterations at which the step size may be halved.

    The first after 22 % of the steps; each interval is 3 % shorter than the one before and at least 6 %, or one step.
    """
    interval, shortest, shorter = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    found, here = [], interval
    while here <= steps:
        found.append(here)
        interval = max(interval - shorter, shortest)
        here += interval
    return found


@dataclass
class _State:
    """Where each example is: all tensors have one entry an example."""

    x: Tensor
    previous: Tensor
    value: Tensor
    gradient: Tensor
    step: Tensor
    best: Tensor
    best_value: Tensor
    best_gradient: Tensor
    increases: Tensor
    halved: Tensor
    value_then: Tensor  # the best value at the last checkpoint


@named("apgd-ce")
class APGD(Attack):
    """Auto-PGD: PGD that sets its own step size.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    steps : int, >= 1
        Iterations of a run.
    norm : {"linf", "l2"}
    loss : {"cross-entropy", "margin", "dlr"}
    restarts : int, >= 1
        Runs from different random starts; a later one sees only the examples that are still classified correctly.
    eot : int, >= 1
        Passes whose gradients are averaged, for models that draw random numbers.
    seed : int
        Of the random starts, which depend on it and on the example alone.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        eps: float,
        steps: int = 100,
        *,
        norm: Literal["linf", "l2"] = "linf",
        loss: Literal["cross-entropy", "margin", "dlr"] = "cross-entropy",
        restarts: int = 1,
        eot: int = 1,
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        check_ball(eps, bounds, steps=steps, restarts=restarts, eot=eot)
        self.eps, self.steps, self.eot, self.restarts, self.seed, self.bounds = eps, steps, eot, restarts, seed, bounds
        self.ball, self.loss = BALLS[norm], LOSSES[loss]
        self._checkpoints = checkpoints(steps)

    @property
    def passes(self) -> float:
        """Of each run a look at who withstood those before, and a gradient at the start and after each step."""
        return self.restarts * (FORWARD + (1 + self.steps) * self.eot)

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack from each start what has withstood the ones before."""
        found = x.clone()
        for restart in range(self.restarts):
            self.attack_standing(model, x, y, found, f"restart {restart}", lambda rows: (self.loss, y[rows]))
        return found

    def unfit(self, classes: int, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002
        """Say whether there are too few classes for the loss."""
        return too_few(self.loss, classes)

    def attack_standing(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        found: Tensor,
        purpose: str,
        objective_of: Callable[[Tensor], tuple[Objective, Tensor]],
    ) -> None:
        """Run once on the examples whose point in `found` is classified correctly, and put what comes out there."""
        with torch.no_grad():
            standing = ~misclassified(model(found), y)
        rows = standing.nonzero().squeeze(1)
        if len(rows):
            objective, labels = objective_of(rows)
            found[rows] = self._ascend(model, x[rows], y[rows], purpose, objective, labels)

    def _ascend(
        self, model: nn.Module, x: Tensor, y: Tensor, purpose: str, objective: Objective, labels: Tensor
    ) -> Tensor:
        """One run; of each example its first misclassified point, else that of the highest loss."""
        noise = Noise(x, self.seed, purpose)
        start = self.ball.project(self.ball.surface(x, self.eps, noise), x, self.eps, self.bounds)
        value, gradient, wrong = self._evaluate(model, start, y, objective, labels)
        step = torch.full_like(value, 2 * self.eps)
        zeros = torch.zeros_like(value)
        # As in the authors' code, the first step's loss is held against 0, and no stall counts at the first checkpoint.
        state = _State(
            start, start, zeros, gradient, step, start.clone(), value.clone(), gradient.clone(),
            zeros, torch.ones_like(wrong), value.clone(),
        )  # fmt: skip
        fooled, adversarial = wrong.clone(), start.clone()
        last = 0
        for index in range(1, self.steps + 1):
            self._move(state, x, first=index == 1)
            value, gradient, wrong = self._evaluate(model, state.x, y, objective, labels)
            newly = wrong & ~fooled
            adversarial[newly] = state.x[newly]
            fooled |= wrong
            self._note(state, value, gradient)
            if index in self._checkpoints:
                self._halve(state, index - last)
                last = index
        return torch.where(unsqueeze_like(fooled, x), adversarial, state.best)

    def _move(self, state: _State, x: Tensor, *, first: bool) -> None:
        """Step along the gradient, carried on by the step before."""
        ahead = state.x + unsqueeze_like(state.step, x) * self.ball.direction(state.gradient)
        ahead = self.ball.project(ahead, x, self.eps, self.bounds)
        momentum = 1.0 if first else MOMENTUM
        mixed = state.x + momentum * (ahead - state.x) + (1 - momentum) * (state.x - state.previous)
        state.previous, state.x = state.x, self.ball.project(mixed, x, self.eps, self.bounds)

    def _evaluate(
        self, model: nn.Module, x_adv: Tensor, y: Tensor, objective: Objective, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Objective, its gradient, and whether the example is misclassified."""
        logits, values, gradient = input_gradient(model, x_adv, lambda logits: objective(logits, labels), self.eot)
        return values, gradient, misclassified(logits, y)

    @staticmethod
    def _note(state: _State, value: Tensor, gradient: Tensor) -> None:
        state.increases += (value > state.value).to(value.dtype)
        better = value > state.best_value
        state.best[better] = state.x[better]
        state.best_gradient[better] = gradient[better]
        state.best_value = torch.where(better, value, state.best_value)
        state.value, state.gradient = value, gradient

    @staticmethod
    def _halve(state: _State, since: int) -> None:
        """Halve the step of examples that oscillate or stall, and send them back to their best point."""
        oscillates = state.increases <= NEEDED_INCREASES * since
        stalls = ~state.halved & (state.value_then >= state.best_value)
        halve = oscillates | stalls
        state.step = torch.where(halve, state.step / 2, state.step)
        state.x = torch.where(unsqueeze_like(halve, state.x), state.best, state.x)
        state.gradient = torch.where(unsqueeze_like(halve, state.x), state.best_gradient, state.gradient)
        state.halved, state.value_then = halve, state.best_value.clone()
        state.increases = torch.zeros_like(state.increases)
