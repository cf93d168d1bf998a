"""Searches for the smallest perturbation that descend inside a ball, whose radius follows what they find."""

import math
from abc import abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from .base import Attack, Kind
from .cost import GRADIENT, LOOK, Passes
from .geometry import BALLS, length, unsqueeze_like
from .gradients import input_gradient
from .inputs import Bounds
from .losses import misclassified, rounding, surely_misclassified
from .ranges import at_least, check_bounds, finite

LAST_STEP = 0.01
"""The last step as a share of the first."""


class Met(NamedTuple):
    """What a descent met at a step: a value each, (N,), but for the gradient, (N, ...).

    Attributes
    ----------
    wrong : Tensor, bool
        Whether the point is misclassified, by more than rounding.
    size : Tensor
        Of its perturbation.
    smallest : Tensor
        Size of the smallest one that was misclassified; inf for none.
    value, gradient : Tensor
        Of the objective.
    rounded : Tensor
        How much of the margin rounding may be.
    """

    wrong: Tensor
    size: Tensor
    smallest: Tensor
    value: Tensor
    gradient: Tensor
    rounded: Tensor


class NormDescent(Attack):
    """Steps of decreasing size along the gradient, each brought back to a ball that shrinks and grows.

    A subclass says what is ascended and how the radius follows. What is kept is the closest misclassified point met.

    Attributes
    ----------
    steps : int
    step_size : float
        Euclidean length of the first step, in units of the valid range if there is one; the last is a hundredth of it,
        with a cosine between.
    gamma : float
        Share by which the radius shrinks or grows.
    """

    kind: Kind = "minimal"
    norm: Literal["linf", "l2", "l1"]
    steps: int
    step_size: float
    gamma: float

    def _take(self, steps: int, step_size: float, gamma: float, bounds: Bounds | None) -> None:
        at_least(1, steps=steps)
        finite(step_size=step_size, above_zero=True)
        check_bounds(bounds)
        if not 0 < gamma < 1:
            msg = f"gamma must lie in (0, 1), got {gamma:g}"
            raise ValueError(msg)
        self.steps, self.step_size, self.gamma, self.bounds = steps, step_size, gamma, bounds

    @property
    def _unit(self) -> float:
        return 1.0 if self.bounds is None else self.bounds[1] - self.bounds[0]

    @property
    def passes(self) -> Passes:
        """A gradient a step, and a look at where the last one led."""
        return self.steps * GRADIENT + LOOK

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Descend from the clean example."""
        best, here = x.clone(), x.clone()
        smallest = torch.full_like(x.flatten(1)[:, 0], torch.inf)
        radius = self._first(x)
        for index in range(self.steps):
            logits, value, gradient = input_gradient(model, here, lambda logits: self._objective(logits, y))
            size = length(here - x, self.norm)
            if index == 0:
                # What is misclassified already stays as it is.
                smallest = torch.where(misclassified(logits, y), 0.0, smallest)
            closer, kept = _better(logits, y, size, smallest)
            best, smallest = torch.where(unsqueeze_like(kept, x), here, best), torch.where(closer, size, smallest)
            share = (1 + math.cos(math.pi * index / self.steps)) / 2
            # Else the ball would close on a point at the very boundary, which is none for long.
            met = Met(surely_misclassified(logits, y), size, smallest, value, gradient, rounding(logits, y))
            radius = self._radius(radius, met, share)
            step = self._unit * self.step_size * (LAST_STEP + (1 - LAST_STEP) * share)
            here = self._brought_back(here + step * BALLS["l2"].direction(gradient), x, radius)
        with torch.no_grad():
            _, kept = _better(model(here), y, length(here - x, self.norm), smallest)
        return torch.where(unsqueeze_like(kept, x), here, best)

    @abstractmethod
    def _objective(self, logits: Tensor, y: Tensor) -> Tensor:
        """Value to be increased, (N,)."""

    @abstractmethod
    def _first(self, x: Tensor) -> Tensor:
        """Give the radius to begin with, (N,)."""

    @abstractmethod
    def _radius(self, radius: Tensor, met: Met, share: float) -> Tensor:
        """Give the next radius, (N,), after what was met; `share` falls from 1 to 0."""

    @abstractmethod
    def _brought_back(self, point: Tensor, x: Tensor, radius: Tensor) -> Tensor:
        """Bring points to where they may be."""


def _better(logits: Tensor, y: Tensor, size: Tensor, smallest: Tensor) -> tuple[Tensor, Tensor]:
    """Say which points are smaller than the smallest, and which are kept: these, and any rather than none."""
    # In another pass a point at the very boundary may be on its other side.
    closer = surely_misclassified(logits, y) & (size < smallest)
    return closer, closer | (misclassified(logits, y) & size.isfinite() & smallest.isinf())
