"""DeepFool: step after step to the nearest boundary of the linearised model.

Source: Moosavi-Dezfooli, Fawzi and Frossard, *DeepFool: a simple and accurate method to fool deep neural networks*,
2016, algorithm 2 and section 3.3 (Linf).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .base import Attack, Kind, named
from .cost import LOOK, Passes
from .geometry import at_least_float32, unsqueeze_like
from .gradients import gradient_to, require_gradient
from .inputs import Bounds, clipped
from .losses import misclassified
from .passes import pace
from .ranges import at_least, check_bounds, finite

TINY = 1e-8
BEHIND = 1e-4
"""Added to each distance, as the authors do, so that a step does not end on the boundary itself; in half precision what
its rounding is of 1."""
USUAL = 3
"""Steps after which most images are misclassified, by the authors."""


@named("deepfool")
class DeepFool(Attack):
    """The smallest perturbation, step by step to the nearest linearised boundary, in L2 or Linf.

    Parameters
    ----------
    norm : {"linf", "l2"}
        What is to be small.
    steps : int, >= 1
        Iterations at most.
    overshoot : float, >= 0
        Share by which the perturbation is stretched to end behind the boundary.
    candidates : int, >= 2
        Classes considered, the likeliest first.
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
        norm: Literal["linf", "l2"] = "l2",
        steps: int = 50,
        *,
        overshoot: float = 0.02,
        candidates: int = 10,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        finite(overshoot=overshoot)
        at_least(1, steps=steps)
        at_least(2, candidates=candidates)
        check_bounds(bounds)
        self.norm, self.steps, self.overshoot = norm, steps, overshoot
        self.candidates, self.bounds = candidates, bounds

    @property
    def passes(self) -> Passes:
        """A gradient for each candidate a step, as many as it usually takes, and a look at the last one's end."""
        return LOOK + min(self.steps, USUAL) * Passes(1, self.candidates - 1)

    @property
    def most(self) -> Passes:
        """A gradient for each candidate at every step."""
        return LOOK + self.steps * Passes(1, self.candidates - 1)

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Move every example until it is misclassified."""
        found, rows, every = x.clone(), torch.arange(len(x), device=x.device), pace(x.device).every
        here, done = x.clone(), torch.zeros_like(y, dtype=torch.bool)
        total = torch.zeros_like(x, dtype=at_least_float32(x))
        classes: Tensor | None = None
        for step in range(self.steps + 1):
            with torch.enable_grad():
                point = here.detach().requires_grad_()
                logits = model(point)
                require_gradient(logits)
                if classes is None:
                    classes = logits.detach().argsort(dim=1, descending=True)[:, : self.candidates]
                done = done | misclassified(logits.detach(), y)
                # Who is not there yet is at the clean input, until the last look.
                looked = step % every == 0
                if looked:
                    kept = (~done).nonzero().squeeze(1)
                if step == self.steps or (looked and not len(kept)):
                    break
                delta = self._nearest(logits, point, classes)
            moving = unsqueeze_like(~done, x)
            total = torch.where(moving, total + delta, total)
            here = torch.where(moving, self._bounded((x + (1 + self.overshoot) * total).to(x.dtype)), here)
            if looked:
                found[rows] = here
                rows, x, y, here, total, done, classes = (
                    each[kept] for each in (rows, x, y, here, total, done, classes)
                )
        found[rows] = torch.where(unsqueeze_like(done, x), here, x)
        return found

    def _nearest(self, logits: Tensor, point: Tensor, classes: Tensor) -> Tensor:
        """Give the perturbation to the nearest boundary, were the model linear."""
        own = logits.gather(1, classes[:, :1]).squeeze(1)
        best = torch.full_like(own, torch.inf).detach()
        nearest = torch.zeros_like(point).detach()
        for rank in range(1, classes.shape[1]):
            difference = logits.gather(1, classes[:, rank : rank + 1]).squeeze(1) - own
            gradient = gradient_to(point, difference.sum(), again=True)
            distance, perturbation = self._to_boundary(difference.detach().abs(), gradient)
            closer = distance < best
            best = torch.where(closer, distance, best)
            nearest = torch.where(unsqueeze_like(closer, nearest), perturbation, nearest)
        return nearest

    def _to_boundary(self, gap: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        flat = gradient.flatten(1)
        behind = max(BEHIND, torch.finfo(gradient.dtype).eps)
        if self.norm == "linf":
            distance = gap / (flat.abs().sum(dim=1) + TINY)
            return distance, unsqueeze_like(distance + behind, gradient) * gradient.sign()
        length = flat.norm(dim=1)
        distance = gap / (length + TINY)
        return distance, unsqueeze_like((distance + behind) / (length + TINY), gradient) * gradient

    def _bounded(self, x: Tensor) -> Tensor:
        return clipped(x, self.bounds)
