"""FAB-T: fast adaptive boundary, towards target classes.

Source: Croce and Hein, *Minimally distorted adversarial examples with a fast adaptive boundary attack*, 2020,
algorithm 1, in the targeted form of *Reliable evaluation of adversarial robustness*, 2020.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .base import Attack, Bounds, Kind, check_ball, input_gradient
from .geometry import length, wide
from .hyperplane import onto_hyperplane
from .losses import margin

BIAS = 0.1
"""Largest weight of the projection from the clean example (alpha_max)."""
EXTRAPOLATE = 1.05
"""Overshoot behind the boundary (eta)."""
BACK = 0.9
"""How far a misclassified point goes back towards the clean example (beta)."""
HALVINGS = 3
"""Bisections of the segment from the clean example to the point found."""


class FAB(Attack):
    """FAB-T, in the L2 or the Linf norm, from the clean example.

    Parameters
    ----------
    norm : {"linf", "l2"}
        What is to be small.
    steps : int, >= 1
        Iterations towards each target.
    targets : int, >= 1
        Wrong classes tried, the likeliest first; at most all.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    kind: Kind = "minimal"

    def __init__(
        self,
        norm: Literal["linf", "l2"] = "linf",
        steps: int = 100,
        *,
        targets: int = 9,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        check_ball(0, bounds, {"steps": steps, "targets": targets})
        self.norm, self.steps, self.targets, self.bounds = norm, steps, targets, bounds

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Search towards each target; keep each example's closest."""
        found = x.clone()
        if not len(x):
            return found
        with torch.no_grad():
            logits = model(x)
            distance = torch.where(margin(logits, y) > 0, 0.0, torch.inf)
        others = logits.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)
        rows = (distance > 0).nonzero().squeeze(1)
        for place in range(min(self.targets, logits.shape[1] - 1) if len(rows) else 0):
            ends, sizes = self._towards(model, x[rows], y[rows], others[rows, place])
            closer = sizes < distance[rows]
            found[rows[closer]] = ends[closer]
            distance[rows[closer]] = sizes[closer]
        return found

    def _towards(self, model: nn.Module, x: Tensor, y: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Give each example's closest misclassified point on the way to a target, and its distance; inf for none."""
        best, size = x.clone(), torch.full_like(x.flatten(1)[:, 0], torch.inf)

        def gap(logits: Tensor) -> Tensor:
            chosen = logits.gather(1, torch.stack([target, y], dim=1))
            return chosen[:, 0] - chosen[:, 1]

        here = x.clone()
        for _ in range(self.steps + 1):
            logits, gaps, gradient = input_gradient(model, here, gap)
            fooled = margin(logits, y) > 0
            distance = length(here - x, self.norm)
            closer = fooled & (distance < size)
            best[closer], size[closer] = here[closer], distance[closer]
            back = x + (here - x) * BACK
            # The gap of a point that goes back is taken to first order, which spares a pass.
            gaps = torch.where(fooled, gaps + (gradient * (back - here)).flatten(1).sum(dim=1), gaps)
            here = torch.where(wide(fooled, x), back, here)
            here = self._step(here, x, gaps, gradient)
        return self._bisected(model, x, y, best, size)

    def _step(self, here: Tensor, x: Tensor, gaps: Tensor, gradient: Tensor) -> Tensor:
        """Go beyond the linearised boundary, between the projections of this point and of the clean one."""
        normal = gradient.flatten(1)
        from_clean = -gaps - ((x - here) * gradient).flatten(1).sum(dim=1)
        own = onto_hyperplane(here.flatten(1), normal, -gaps, self.norm, self.bounds).view_as(x)
        clean = onto_hyperplane(x.flatten(1), normal, from_clean, self.norm, self.bounds).view_as(x)
        sizes = [length(d, self.norm).clamp_min(1e-8) for d in (own, clean)]
        share = wide((sizes[0] / (sizes[0] + sizes[1])).clamp(0, BIAS), x)
        mixed: Tensor = (here + EXTRAPOLATE * own) * (1 - share) + (x + EXTRAPOLATE * clean) * share
        return mixed if self.bounds is None else mixed.clamp(*self.bounds)

    def _bisected(self, model: nn.Module, x: Tensor, y: Tensor, best: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Shorten what was found along the segment to the clean example."""
        near = x.clone()
        for _ in range(HALVINGS):
            middle = (near + best) / 2
            with torch.no_grad():
                fooled = (margin(model(middle), y) > 0) & size.isfinite()
            best = torch.where(wide(fooled, x), middle, best)
            near = torch.where(wide(fooled, x), near, middle)
        return best, torch.where(size.isfinite(), length(best - x, self.norm), size)
