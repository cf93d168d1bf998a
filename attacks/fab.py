"""FAB: fast adaptive boundary, towards target classes or to the nearest of all.

Source: Croce and Hein, *Minimally distorted adversarial examples with a fast adaptive boundary attack*, 2020,
algorithm 1, in the targeted form of *Reliable evaluation of adversarial robustness*, 2020; step by step as in the
authors' code (fra31/auto-attack).
"""

from collections.abc import Callable
from itertools import product
from typing import Literal

import torch
from torch import Tensor, nn

from .base import Attack, Kind, named
from .cost import BACKWARD, CLASSES, FORWARD
from .geometry import BALLS, length, unsqueeze_like
from .gradients import gradient_to, input_gradient, require_gradient
from .hyperplane import onto_hyperplane
from .inputs import Bounds, clipped
from .losses import misclassified
from .noise import Noise
from .ranges import at_least, check_bounds, finite

Boundary = Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]
"""(model, points) -> gap to a boundary, (N,), negative on the true label's side, and its gradient."""

BIAS = 0.1
"""Largest weight of the projection from the clean example (alpha_max)."""
EXTRAPOLATE = 1.05
"""Overshoot behind the boundary (eta)."""
BACK = 0.9
"""How far a misclassified point goes back towards the clean example (beta)."""
TINY = 1e-12


@named("fab-t")
class FAB(Attack):
    """The smallest perturbation, by projections onto linearised boundaries.

    In the L2 or the Linf norm; the first run starts from the clean example.

    Parameters
    ----------
    norm : {"linf", "l2"}
        What is to be small.
    steps : int, >= 1
        Iterations of a run.
    targets : int, >= 1
        Wrong classes tried, the likeliest first, a run each; at most all.
    targeted : bool
        Else each step goes to the nearest boundary, were the model linear, of all classes: a backward pass a class.
    restarts : int, >= 1
        Runs in all, towards each target if there are any; the later ones from random points, `start_radius` / 2 away.
    start_radius : float, > 0, optional
        Default: 0.3 in the Linf, 1 in the L2 norm.
    enough : float, >= 0
        Distance at which an example has been brought near enough: later runs leave it out.
    searches : int, >= 0
        Bisections of the segment between the clean example and the point found, at the end of a run; the paper's final
        search. AutoAttack has none.
    seed : int
        Of the random starts, which depend on it and on the example alone.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    kind: Kind = "minimal"

    def __init__(  # noqa: PLR0913
        self,
        norm: Literal["linf", "l2"] = "linf",
        steps: int = 100,
        *,
        targets: int = 9,
        targeted: bool = True,
        restarts: int = 1,
        start_radius: float | None = None,
        enough: float = 0.0,
        searches: int = 3,
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        self.start_radius = {"linf": 0.3, "l2": 1.0}[norm] if start_radius is None else start_radius
        finite(start_radius=self.start_radius, above_zero=True)
        finite(enough=enough)
        at_least(1, steps=steps, targets=targets, restarts=restarts)
        at_least(0, searches=searches)
        check_bounds(bounds)
        self.norm, self.steps, self.targets, self.targeted = norm, steps, targets, targeted
        self.restarts, self.enough, self.searches, self.seed, self.bounds = restarts, enough, searches, seed, bounds

    @property
    def passes(self) -> float:
        """Those of its runs: a gradient a step, without a target one for each class, and a look at where it led."""
        gradient = 1.0 if self.targeted else FORWARD + CLASSES * BACKWARD
        run = self.steps * (gradient + FORWARD) + self.searches * FORWARD
        return FORWARD + (self.targets if self.targeted else 1) * self.restarts * run

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Search towards each target and from each start; keep each example's closest."""
        found = x.clone()
        with torch.no_grad():
            logits = model(x)
        rows = (~misclassified(logits, y)).nonzero().squeeze(1)
        if not len(rows):
            return found
        distance = torch.full_like(x.flatten(1)[:, 0], torch.inf)
        others = logits.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)
        ranks = range(min(self.targets, logits.shape[1] - 1)) if self.targeted else [-1]
        for rank, restart in product(ranks, range(self.restarts)):
            clean, labels = x[rows], y[rows]
            boundary = _towards(labels, others[rows, rank]) if self.targeted else _nearest(labels, self.norm)
            start = self._start(clean, f"target {rank}, start {restart}") if restart else clean.clone()
            ends, sizes = self._descend(model, clean, labels, start, boundary)
            closer = sizes < distance[rows]
            found[rows[closer]], distance[rows[closer]] = ends[closer], sizes[closer]
            rows = rows[distance[rows] > self.enough]
            if not len(rows):
                break
        return found

    def _start(self, x: Tensor, purpose: str) -> Tensor:
        noise = Noise(x, self.seed, purpose)
        return self._bounded(BALLS[self.norm].surface(x, self.start_radius / 2, noise))

    def _descend(
        self, model: nn.Module, x: Tensor, y: Tensor, here: Tensor, boundary: Boundary
    ) -> tuple[Tensor, Tensor]:
        """Give each example's closest misclassified point on a run, and its distance; inf for none."""
        best, size = x.clone(), torch.full_like(x.flatten(1)[:, 0], torch.inf)
        for _ in range(self.steps):
            here = self._step(here, x, *boundary(model, here))
            with torch.no_grad():
                fooled = misclassified(model(here), y)
            distance = length(here - x, self.norm)
            closer = fooled & (distance < size)
            best, size = torch.where(unsqueeze_like(closer, x), here, best), torch.where(closer, distance, size)
            here = torch.where(unsqueeze_like(fooled, x), x + (here - x) * BACK, here)
        return self._bisected(model, x, y, best, size) if self.searches else (best, size)

    def _step(self, here: Tensor, x: Tensor, gaps: Tensor, gradient: Tensor) -> Tensor:
        """Go beyond the linearised boundary, between the projections of this point and of the clean one."""
        normal = gradient.flatten(1)
        from_clean = -gaps - ((x - here) * gradient).flatten(1).sum(dim=1)
        own = onto_hyperplane(here.flatten(1), normal, -gaps, self.norm, self.bounds).view_as(x)
        clean = onto_hyperplane(x.flatten(1), normal, from_clean, self.norm, self.bounds).view_as(x)
        sizes = [length(d, self.norm).clamp_min(1e-8) for d in (own, clean)]
        share = unsqueeze_like((sizes[0] / (sizes[0] + sizes[1])).clamp(0, BIAS), x)
        return self._bounded((here + EXTRAPOLATE * own) * (1 - share) + (x + EXTRAPOLATE * clean) * share)

    def _bounded(self, x: Tensor) -> Tensor:
        return clipped(x, self.bounds)

    def _bisected(self, model: nn.Module, x: Tensor, y: Tensor, best: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Shorten what was found along the segment to the clean example."""
        near = x.clone()
        for _ in range(self.searches):
            middle = (near + best) / 2
            with torch.no_grad():
                fooled = misclassified(model(middle), y) & size.isfinite()
            best = torch.where(unsqueeze_like(fooled, x), middle, best)
            near = torch.where(unsqueeze_like(fooled, x), near, middle)
        return best, torch.where(size.isfinite(), length(best - x, self.norm), size)


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
    dual = "l1" if norm == "linf" else "l2"

    def boundary(model: nn.Module, points: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            logits = model(points)
            require_gradient(logits)
            gaps = logits - logits.gather(1, y[:, None])
            slopes = [gradient_to(points, column.sum(), again=True) for column in gaps.unbind(dim=1)]
        gaps = gaps.detach()
        steepness = torch.stack([length(slope, dual) for slope in slopes], dim=1)
        distances = (gaps.abs() / (steepness + TINY)).scatter(1, y[:, None], torch.inf)
        nearest = distances.argmin(dim=1)
        gradient = torch.stack(slopes, dim=1)[torch.arange(len(y), device=y.device), nearest]
        return gaps.gather(1, nearest[:, None]).squeeze(1), gradient

    return boundary
