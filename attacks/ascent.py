"""The ascent of Auto-PGD, for runs that are at different steps.

Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks*, 2020, section 3 and algorithm 1; what the paper leaves open is done as in the authors' code.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

from .confirmed import Claims, Confirmed
from .engine import Ended
from .geometry import Ball, unsqueeze_like
from .gradients import input_gradient
from .inputs import Bounds
from .losses import misclassified
from .noise import Noise
from .passes import certainly_none

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits, labels, targets) -> a value each, to be increased."""

MOMENTUM = 0.75
NEEDED_INCREASES = 0.75
"""More than this share of the steps must have raised the loss, lest the step size be halved."""


def checkpoints(steps: int) -> list[int]:
    """Give the iterations at which the step size may be halved.

    The first after 22 % of the steps; each interval is 3 % shorter than the one before and at least 6 %, or one step.
    """
    interval, shortest, shorter = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    places, here = [], interval
    while here <= steps:
        places.append(here)
        interval = max(interval - shorter, shortest)
        here += interval
    return places


@dataclass(frozen=True)
class Rules:
    """What an ascent is made by; other attributes as of `APGD`.

    Attributes
    ----------
    objective : callable
        What is increased.
    purpose : str
        Of the random starts.
    larger : bool
        In L1, begin at three times the radius; else there is one stage.
    ranked : bool
        Whether values of runs towards other classes compare.
    """

    eps: float
    steps: int
    ball: Ball
    eot: int
    seed: int
    bounds: Bounds | None
    objective: Objective
    purpose: str
    larger: bool = False
    ranked: bool = False


@dataclass
class Climb(Claims):
    """Where each run is."""

    clean: Tensor
    target: Tensor
    seen: Tensor  # points that were evaluated
    x: Tensor
    gradient: Tensor
    size: Tensor  # of a step
    best_value: Tensor
    best_gradient: Tensor


@dataclass
class MomentumClimb(Climb):
    """Where each run is that is carried on by its last step."""

    previous: Tensor
    value: Tensor
    increases: Tensor
    halved: Tensor
    value_then: Tensor  # the best value at the last checkpoint


C = TypeVar("C", bound=Climb)


class Ascent(Confirmed[C]):
    """Runs of Auto-PGD, without how they step.

    Parameters
    ----------
    model : nn.Module
    x : Tensor, (N, ...)
        Clean examples.
    y : Tensor, (N,)
    rules : Rules
    targets : Tensor, (N, runs)
        Class that each run on an example goes to; whatever, where the objective has none.
    real : nn.Module or None
        As of `Confirmed`.
    """

    def __init__(
        self, model: nn.Module, x: Tensor, y: Tensor, rules: Rules, targets: Tensor, real: nn.Module | None = None
    ) -> None:
        self.real, self.draws = real, rules.eot
        self.model, self.x, self.y, self.rules, self.targets = model, x, y, rules, targets
        self.runs, self.shortest = targets.shape[1], rules.steps + 1
        self._schedule()

    def _advance(self, jobs: C) -> None:
        """Step, evaluate, and adapt the step where it is due; at first evaluate the start."""
        self._move(jobs)
        logits, value, gradient = input_gradient(
            self.model, jobs.x, lambda logits: self.rules.objective(logits, jobs.label, jobs.target), self.rules.eot
        )
        wrong = self._certain(jobs, misclassified(logits, jobs.label) & self._counts(jobs), jobs.x)
        self._note(jobs, wrong, value, gradient)
        self._adapt(jobs)
        jobs.seen = jobs.seen + 1
        jobs.over = jobs.fooled | (jobs.seen >= self.shortest)

    def _end(self, jobs: C) -> Ended:
        """Of a run its first misclassified point, else that of the highest loss.

        If all runs fail, the last one's, or the highest loss of all, where they compare.
        """
        return Ended(jobs.best, jobs.fooled, -jobs.best_value if self.rules.ranked else None)

    @abstractmethod
    def _schedule(self) -> None:
        """Lay out what is due at which step."""

    @abstractmethod
    def _move(self, jobs: C) -> None:
        """Step; without a gradient yet, stay."""

    @abstractmethod
    def _adapt(self, jobs: C) -> None:
        """Change the step where that is due."""

    def _counts(self, jobs: C) -> Tensor:
        """Say whose misclassified points count."""
        return ~jobs.over

    def _note(self, jobs: C, wrong: Tensor, value: Tensor, gradient: Tensor) -> None:
        """Keep what is better than before."""
        better = (value > jobs.best_value) & ~jobs.over
        jobs.best = torch.where(unsqueeze_like(better | wrong, jobs.x), jobs.x, jobs.best)
        jobs.best_gradient = torch.where(unsqueeze_like(better, jobs.x), gradient, jobs.best_gradient)
        jobs.best_value = torch.where(better, value, jobs.best_value)
        jobs.fooled = jobs.fooled | wrong
        jobs.gradient = gradient


class MomentumAscent(Ascent[MomentumClimb]):
    """Runs of Auto-PGD in the Linf or the L2 ball. Parameters are those of `Ascent`."""

    def _schedule(self) -> None:
        rules, x = self.rules, self.x
        places = [0, *checkpoints(rules.steps)]
        since = torch.zeros(rules.steps + 2, dtype=x.dtype, device="cpu")
        for before, place in pairwise(places):
            since[place] = place - before
        self._since = since.to(x.device)

    def begin(self, rows: Tensor, run: int) -> MomentumClimb:
        """Start from a random point of the sphere."""
        rules, clean = self.rules, self.x[rows]
        noise = Noise(clean, rules.seed, f"{self.rules.purpose} {run}")
        start = rules.ball.project(rules.ball.surface(clean, rules.eps, noise), clean, rules.eps, rules.bounds)
        zeros = clean.new_zeros(len(rows))
        none = torch.zeros_like(rows, dtype=torch.bool)
        # As in the authors' code, no stall counts at the first checkpoint.
        return MomentumClimb(
            rows=rows, over=none, clean=clean, label=self.y[rows], target=self.targets[rows, run],
            seen=torch.zeros_like(rows), x=start, previous=start, value=zeros + torch.inf,
            gradient=torch.zeros_like(start), size=zeros + 2 * rules.eps, best=start, best_value=zeros - torch.inf,
            best_gradient=torch.zeros_like(start), increases=zeros, halved=~none, value_then=zeros, fooled=none,
            claim=start, claimed=none,
        )  # fmt: skip

    def _move(self, jobs: MomentumClimb) -> None:
        """Step along the gradient, carried on by the step before; without a gradient yet, stay."""
        ball, eps, bounds = self.rules.ball, self.rules.eps, self.rules.bounds
        ahead = jobs.x + unsqueeze_like(jobs.size, jobs.x) * ball.direction(jobs.gradient)
        ahead = ball.project(ahead, jobs.clean, eps, bounds)
        momentum = unsqueeze_like(torch.where(jobs.seen == 1, 1.0, MOMENTUM).to(jobs.x.dtype), jobs.x)
        mixed = jobs.x + momentum * (ahead - jobs.x) + (1 - momentum) * (jobs.x - jobs.previous)
        jobs.previous, jobs.x = jobs.x, ball.project(mixed, jobs.clean, eps, bounds)

    def _note(self, jobs: MomentumClimb, wrong: Tensor, value: Tensor, gradient: Tensor) -> None:
        super()._note(jobs, wrong, value, gradient)
        first = jobs.seen == 0
        jobs.increases = jobs.increases + (value > jobs.value).to(value.dtype)
        # As in the authors' code, the first step's loss is held against 0.
        jobs.value = torch.where(first, 0, value)
        jobs.value_then = torch.where(first, value, jobs.value_then)

    def _adapt(self, jobs: MomentumClimb) -> None:
        """Halve the step of examples that oscillate or stall, and send them back to their best point."""
        since = self._since[jobs.seen.clamp(max=self.rules.steps + 1)]
        due = since > 0
        if certainly_none(due):
            return
        oscillates = jobs.increases <= NEEDED_INCREASES * since
        stalls = ~jobs.halved & (jobs.value_then >= jobs.best_value)
        halve = (oscillates | stalls) & due
        jobs.size = torch.where(halve, jobs.size / 2, jobs.size)
        jobs.x = torch.where(unsqueeze_like(halve, jobs.x), jobs.best, jobs.x)
        jobs.gradient = torch.where(unsqueeze_like(halve, jobs.x), jobs.best_gradient, jobs.gradient)
        jobs.halved = torch.where(due, halve, jobs.halved)
        jobs.value_then = torch.where(due, jobs.best_value, jobs.value_then)
        jobs.increases = torch.where(due, 0, jobs.increases)
