"""The runs of FAB, which are at different steps.

Source: Croce and Hein, *Minimally distorted adversarial examples with a fast adaptive boundary attack*, 2020,
algorithm 1, step by step as in the authors' code (fra31/auto-attack).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .engine import Ended, Jobs, Search
from .geometry import BALLS, DUAL, length, unsqueeze_like
from .gradients import gradient_to, input_gradient, require_gradient
from .hyperplane import onto_hyperplane
from .inputs import Bounds, clipped
from .losses import misclassified, surely_misclassified
from .noise import Noise
from .passes import certainly_none

BIAS = 0.1
"""Largest weight of the projection from the clean example (alpha_max)."""
EXTRAPOLATE = 1.05
"""Overshoot behind the boundary (eta)."""
BACK = 0.9
"""How far a misclassified point goes back towards the clean example (beta)."""
TINY = 1e-12

Boundary = Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]
"""(model, points) -> gap to a boundary, (N,), negative on the true label's side, and its gradient."""


@dataclass(frozen=True)
class Rules:
    """What a descent is made by; attributes as of `FAB`."""

    norm: Literal["linf", "l2", "l1"]
    steps: int
    restarts: int
    start_radius: float
    enough: float
    searches: int
    seed: int
    bounds: Bounds | None


@dataclass
class Way(Jobs):
    """Where each run is."""

    clean: Tensor
    label: Tensor
    target: Tensor
    taken_steps: Tensor
    here: Tensor
    best: Tensor  # the closest misclassified point
    size: Tensor  # its distance; inf for none


class Descent(Search[Way]):
    """Runs of FAB.

    Parameters
    ----------
    model : nn.Module
        What is searched.
    followed : nn.Module
        What gives the boundary: the same, or its passes in bfloat16.
    real : nn.Module
        The model that what is near enough has to fool.
    x : Tensor, (N, ...)
    y : Tensor, (N,)
    rules : Rules
    targets : Tensor, (N, k), or None
        Classes to go to, `restarts` runs towards each. None: to the nearest boundary of all.
    """

    def __init__(
        self,
        model: nn.Module,
        followed: nn.Module,
        real: nn.Module,
        x: Tensor,
        y: Tensor,
        rules: Rules,
        targets: Tensor | None,
    ) -> None:
        self.model, self.followed, self.real, self.x, self.y, self.rules = model, followed, real, x, y, rules
        self.targets, self.shortest = targets, rules.steps
        self.runs = rules.restarts * (1 if targets is None else targets.shape[1])

    def begin(self, rows: Tensor, run: int) -> Way:
        """Start from the clean example, later from random points around it."""
        clean, rules = self.x[rows], self.rules
        place, restart = divmod(run, rules.restarts)
        here = clean
        if restart:
            purpose = f"target {place if self.targets is not None else -1}, start {restart}"
            noise = Noise(clean, rules.seed, purpose)
            here = clipped(BALLS[rules.norm].surface(clean, rules.start_radius / 2, noise), rules.bounds)
        none = torch.zeros_like(rows)
        target = none if self.targets is None else self.targets[rows, place]
        size = torch.full_like(rows, torch.inf, dtype=clean.dtype)
        return Way(rows, none.bool(), clean, self.y[rows], target, none, here, clean, size)

    def advance(self, jobs: Way) -> None:
        """Step beyond the boundary, and where that fools the model, come back a little."""
        rules, clean = self.rules, jobs.clean
        boundary = _nearest(jobs.label, rules.norm) if self.targets is None else _towards(jobs.label, jobs.target)
        here = self._step(jobs.here, clean, *boundary(self.followed, jobs.here))
        with torch.no_grad():
            fooled = misclassified(self.model(here), jobs.label)
        distance = length(here - clean, rules.norm)
        closer = fooled & (distance < jobs.size) & ~jobs.over
        near = closer & (distance <= rules.enough)
        # Where only the closest point is looked for, the model itself is searched.
        if rules.enough and not certainly_none(near):
            # A point counts if it fools the model itself, whose boundary is not quite that of a copy.
            with torch.no_grad():
                closer = closer & (~near | misclassified(self.real(here), jobs.label))
        jobs.best = torch.where(unsqueeze_like(closer, clean), here, jobs.best)
        jobs.size = torch.where(closer, distance, jobs.size)
        jobs.here = torch.where(unsqueeze_like(fooled, clean), clean + (here - clean) * BACK, here)
        jobs.taken_steps = jobs.taken_steps + 1
        jobs.over = (jobs.size <= rules.enough) | (jobs.taken_steps >= rules.steps)

    def end(self, jobs: Way) -> Ended:
        """Of a run the closest point; of several that are not near enough that of the closest."""
        if self.rules.searches:
            self._bisect(jobs)
        return Ended(jobs.best, jobs.size <= self.rules.enough, jobs.size)

    def _step(self, here: Tensor, x: Tensor, gaps: Tensor, gradient: Tensor) -> Tensor:
        """Go beyond the linearised boundary, between the projections of this point and of the clean one."""
        normal = gradient.flatten(1)
        from_clean = -gaps - ((x - here) * gradient).flatten(1).sum(dim=1)
        own = onto_hyperplane(here.flatten(1), normal, -gaps, self.rules.norm, self.rules.bounds).view_as(x)
        clean = onto_hyperplane(x.flatten(1), normal, from_clean, self.rules.norm, self.rules.bounds).view_as(x)
        sizes = [length(d, self.rules.norm).clamp_min(1e-8) for d in (own, clean)]
        share = unsqueeze_like((sizes[0] / (sizes[0] + sizes[1])).clamp(0, BIAS), x)
        mixed = (here + EXTRAPOLATE * own) * (1 - share) + (x + EXTRAPOLATE * clean) * share
        return clipped(mixed, self.rules.bounds)

    def _bisect(self, jobs: Way) -> None:
        """Shorten what was found along the segment to the clean example."""
        near = jobs.clean
        for _ in range(self.rules.searches):
            middle = (near + jobs.best) / 2
            with torch.no_grad():
                # At the very boundary a point is on its other side in another pass.
                fooled = surely_misclassified(self.model(middle), jobs.label) & jobs.size.isfinite()
            jobs.best = torch.where(unsqueeze_like(fooled, middle), middle, jobs.best)
            near = torch.where(unsqueeze_like(fooled, middle), near, middle)
        moved = length(jobs.best - jobs.clean, self.rules.norm)
        jobs.size = torch.where(jobs.size.isfinite(), moved, jobs.size)


def _towards(y: Tensor, target: Tensor) -> Boundary:
    """Give the boundary between the true labels and one other class each."""
    pairs = torch.stack([target, y], dim=1)

    def gap(logits: Tensor) -> Tensor:
        chosen = logits.gather(1, pairs)
        return chosen[:, 0] - chosen[:, 1]

    def boundary(model: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:
        _, gaps, gradient = input_gradient(model, points, gap)
        return gaps, gradient

    return boundary


def _nearest(y: Tensor, norm: str) -> Boundary:
    """Give whichever boundary is nearest where the model is linear."""

    def boundary(model: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            logits = model(points)
            require_gradient(logits)
            gaps = logits - logits.gather(1, y[:, None])
            slopes = [gradient_to(points, column.sum(), again=True) for column in gaps.unbind(dim=1)]
        gaps = gaps.detach()
        steepness = torch.stack([length(slope, DUAL[norm]) for slope in slopes], dim=1)
        distances = (gaps.abs() / (steepness + TINY)).scatter(1, y[:, None], torch.inf)
        nearest = distances.argmin(dim=1)
        gradient = torch.stack(slopes, dim=1)[torch.arange(len(y), device=y.device), nearest]
        return gaps.gather(1, nearest[:, None]).squeeze(1), gradient

    return boundary
