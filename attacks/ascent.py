"""The ascent of Auto-PGD, for runs that are at different steps.

Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks*, 2020, section 3 and algorithm 1; what the paper leaves open is done as in the authors' code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from .engine import Ended, Jobs, Search
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
    """What an ascent is made by; attributes as of `APGD`."""

    eps: float
    steps: int
    ball: Ball
    eot: int
    seed: int
    bounds: Bounds | None


@dataclass
class Climb(Jobs):
    """Where each run is."""

    clean: Tensor
    label: Tensor
    target: Tensor
    seen: Tensor  # points that were evaluated
    x: Tensor
    previous: Tensor
    value: Tensor
    gradient: Tensor
    size: Tensor  # of a step
    best: Tensor  # the first misclassified point, once there is one
    best_value: Tensor
    best_gradient: Tensor
    increases: Tensor
    halved: Tensor
    value_then: Tensor  # the best value at the last checkpoint
    fooled: Tensor


class Ascent(Search[Climb]):
    """Runs of Auto-PGD.

    Parameters
    ----------
    model : nn.Module
    x : Tensor, (N, ...)
        Clean examples.
    y : Tensor, (N,)
    rules : Rules
    objective : callable
    targets : Tensor, (N, runs)
        Class that each run on an example goes to; whatever, where the objective has none.
    purpose : str
        Of the random starts.
    """

    def __init__(
        self, model: nn.Module, x: Tensor, y: Tensor, rules: Rules, objective: Objective, targets: Tensor, purpose: str
    ) -> None:
        self.model, self.x, self.y, self.rules = model, x, y, rules
        self.objective, self.targets, self.purpose = objective, targets, purpose
        self.runs, self.shortest = targets.shape[1], rules.steps + 1
        places = [0, *checkpoints(rules.steps)]
        since = torch.zeros(rules.steps + 2, dtype=x.dtype, device="cpu")
        for before, place in pairwise(places):
            since[place] = place - before
        self._since = since.to(x.device)

    def begin(self, rows: Tensor, run: int) -> Climb:
        """Start from a random point of the sphere."""
        rules, clean = self.rules, self.x[rows]
        noise = Noise(clean, rules.seed, f"{self.purpose} {run}")
        start = rules.ball.project(rules.ball.surface(clean, rules.eps, noise), clean, rules.eps, rules.bounds)
        zeros = clean.new_zeros(len(rows))
        none = torch.zeros_like(rows, dtype=torch.bool)
        # As in the authors' code, no stall counts at the first checkpoint.
        return Climb(
            rows=rows, over=none, clean=clean, label=self.y[rows], target=self.targets[rows, run],
            seen=torch.zeros_like(rows), x=start, previous=start, value=zeros + torch.inf,
            gradient=torch.zeros_like(start), size=zeros + 2 * rules.eps, best=start, best_value=zeros - torch.inf,
            best_gradient=torch.zeros_like(start), increases=zeros, halved=~none, value_then=zeros, fooled=none,
        )  # fmt: skip

    def advance(self, jobs: Climb) -> None:
        """Step, evaluate, and halve the step size where it is due; at first evaluate the start."""
        self._move(jobs)
        logits, value, gradient = input_gradient(
            self.model, jobs.x, lambda logits: self.objective(logits, jobs.label, jobs.target), self.rules.eot
        )
        self._note(jobs, misclassified(logits, jobs.label), value, gradient)
        self._halve(jobs)
        jobs.seen = jobs.seen + 1
        jobs.over = jobs.fooled | (jobs.seen > self.rules.steps)

    def end(self, jobs: Climb) -> Ended:
        """Of a run its first misclassified point, else that of the highest loss; the last run's, if all fail."""
        return Ended(jobs.best, jobs.fooled)

    def _move(self, jobs: Climb) -> None:
        """Step along the gradient, carried on by the step before; without a gradient yet, stay."""
        ball, eps, bounds = self.rules.ball, self.rules.eps, self.rules.bounds
        ahead = jobs.x + unsqueeze_like(jobs.size, jobs.x) * ball.direction(jobs.gradient)
        ahead = ball.project(ahead, jobs.clean, eps, bounds)
        momentum = unsqueeze_like(torch.where(jobs.seen == 1, 1.0, MOMENTUM).to(jobs.x.dtype), jobs.x)
        mixed = jobs.x + momentum * (ahead - jobs.x) + (1 - momentum) * (jobs.x - jobs.previous)
        jobs.previous, jobs.x = jobs.x, ball.project(mixed, jobs.clean, eps, bounds)

    @staticmethod
    def _note(jobs: Climb, wrong: Tensor, value: Tensor, gradient: Tensor) -> None:
        first = jobs.seen == 0
        jobs.increases = jobs.increases + (value > jobs.value).to(value.dtype)
        better = (value > jobs.best_value) & ~jobs.over
        keep = (better | wrong) & ~jobs.over
        jobs.best = torch.where(unsqueeze_like(keep, jobs.x), jobs.x, jobs.best)
        jobs.best_gradient = torch.where(unsqueeze_like(better, jobs.x), gradient, jobs.best_gradient)
        jobs.best_value = torch.where(better, value, jobs.best_value)
        jobs.fooled = jobs.fooled | (wrong & ~jobs.over)
        # As in the authors' code, the first step's loss is held against 0.
        jobs.value, jobs.gradient = torch.where(first, 0, value), gradient
        jobs.value_then = torch.where(first, value, jobs.value_then)

    def _halve(self, jobs: Climb) -> None:
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
