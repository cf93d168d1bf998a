"""The ascent of Auto-PGD in the L1 ball, whose steps move few entries.

Source: Croce and Hein, *Mind the box: l1-APGD for sparse adversarial attacks on image classifiers*, 2021, section 3 and
algorithm 1; what the paper leaves open is done as in the authors' code (fra31/auto-attack).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .ascent import Ascent, Climb
from .geometry import unsqueeze_like
from .l1 import steepest_entries
from .noise import Noise
from .passes import certainly_none

LARGER = (3.0, 2.0, 1.0)
"""Radii of the stages, in units of eps."""
SHARE = 0.3
"""Of the steps, in each stage but the last."""
FIRST = 0.2
"""Share of the entries that a step moves at first."""
MOVES = 1.5
"""A step moves this fraction of the entries in which the best point differs from the clean example."""
SPARSER = 0.95
"""A best point with less than this share of the entries that it had is getting sparser."""
SHRINK, SHORTEST = 1.5, 0.1
"""What a step is divided by while the points get no sparser, and its least length in units of the radius."""
INTERVAL = 0.04
"""Share of a stage's steps between two looks at that."""


def stages(steps: int, *, larger: bool) -> list[tuple[float, int]]:
    """Give the radius, in units of eps, and the steps of each stage."""
    if not larger:
        return [(1.0, steps)]
    first = min(math.ceil(SHARE * steps), steps // 2)
    return list(zip(LARGER, (first, first, steps - 2 * first), strict=True))


@dataclass
class SparseClimb(Climb):
    """Where each run is."""

    count: Tensor  # entries that a step moves
    support: Tensor  # entries in which the best point differed from the clean example when last looked at


class SparseAscent(Ascent[SparseClimb]):
    """Runs of Auto-PGD in the L1 ball.

    A run has stages, whose radii shrink to eps; each starts from the point of the highest loss of the one before,
    projected. What is misclassified counts in the last one. Parameters are those of `Ascent`.
    """

    def _schedule(self) -> None:
        rules, x = self.rules, self.x
        radius: list[float] = []
        starts: list[bool] = []
        due: list[bool] = []
        for factor, steps in stages(rules.steps, larger=rules.larger):
            every = max(int(INTERVAL * steps), 1)
            radius += [factor * rules.eps] * (steps + 1)
            starts += [True] + [False] * steps
            due += [step > 0 and step % every == 0 for step in range(steps + 1)]
            self._last = len(radius) - steps - 1
        self.shortest = len(radius)
        # Whoever is over stays at the end of the table.
        self._radius = torch.tensor([*radius, rules.eps], dtype=x.dtype, device="cpu").to(x.device)
        self._starts = torch.tensor([*starts, False], device="cpu").to(x.device)
        self._due = torch.tensor([*due, False], device="cpu").to(x.device)

    def begin(self, rows: Tensor, run: int) -> SparseClimb:
        """Start from normal noise, projected."""
        clean, none = self.x[rows], torch.zeros_like(rows)
        noise = Noise(clean, self.rules.seed, f"{self.rules.purpose} {run}").normal(*clean.shape[1:])
        start = self._projected(clean + noise, clean, self._radius[none])
        zeros, entries = clean.new_zeros(len(rows)), clean[0].numel() if len(rows) else 1
        return SparseClimb(
            rows=rows, over=none.bool(), clean=clean, label=self.y[rows], target=self.targets[rows, run], seen=none,
            x=start, gradient=torch.zeros_like(start), size=zeros + self.rules.eps, best=start,
            best_value=zeros - torch.inf, best_gradient=torch.zeros_like(start), fooled=none.bool(),
            count=none + math.ceil(FIRST * entries), support=none + entries, claim=start, claimed=none.bool(),
        )  # fmt: skip

    def _move(self, jobs: SparseClimb) -> None:
        """Step along the largest entries of the gradient; where a stage starts, go to the best point so far."""
        at = jobs.seen.clamp(max=self.shortest)
        radius, starts = self._radius[at], self._starts[at]
        ahead = jobs.x + unsqueeze_like(jobs.size, jobs.x) * steepest_entries(jobs.gradient, jobs.count)
        ahead = torch.where(unsqueeze_like(starts, ahead), jobs.best, ahead)
        jobs.x = self._projected(ahead, jobs.clean, radius)
        jobs.best_value = torch.where(starts, -torch.inf, jobs.best_value)
        jobs.size = torch.where(starts, radius, jobs.size)
        if self.rules.larger:
            # A start of normal noise is dense in one stage alone: it says nothing of how few entries are enough.
            self._sparsen(jobs, jobs.x, starts)

    def _counts(self, jobs: SparseClimb) -> Tensor:
        return ~jobs.over & (jobs.seen >= self._last)

    def _adapt(self, jobs: SparseClimb) -> None:
        """Move fewer entries where the best point has fewer; go back to it there, and elsewhere take shorter steps."""
        at = jobs.seen.clamp(max=self.shortest)
        radius, due = self._radius[at], self._due[at]
        if certainly_none(due):
            return
        sparser = (jobs.best != jobs.clean).flatten(1).sum(dim=1) < SPARSER * jobs.support
        shorter = torch.maximum(jobs.size / SHRINK, SHORTEST * radius)
        jobs.size = torch.where(due, torch.where(sparser, radius, shorter), jobs.size)
        self._sparsen(jobs, jobs.best, due)
        back = unsqueeze_like(sparser & due, jobs.x)
        jobs.x = torch.where(back, jobs.best, jobs.x)
        jobs.gradient = torch.where(back, jobs.best_gradient, jobs.gradient)

    @staticmethod
    def _sparsen(jobs: SparseClimb, points: Tensor, where: Tensor) -> None:
        """Let steps move a fraction of the entries in which points differ from the clean examples."""
        support = (points != jobs.clean).flatten(1).sum(dim=1)
        jobs.support = torch.where(where, support, jobs.support)
        jobs.count = torch.where(where, (support / MOVES).ceil().long().clamp_min(1), jobs.count)

    def _projected(self, points: Tensor, clean: Tensor, radius: Tensor) -> Tensor:
        return self.rules.ball.project(points, clean, unsqueeze_like(radius, clean), self.rules.bounds)  # type: ignore[arg-type]
