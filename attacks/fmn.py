"""The smallest perturbation inside a ball that closes on the boundary."""

from typing import Literal

import torch
from torch import Tensor

from .base import named
from .geometry import BALLS, DUAL, length, tiny, unsqueeze_like
from .inputs import Bounds
from .losses import margin
from .norm_descent import Met, NormDescent
from .ranges import finite

SMALLEST_GAMMA = 0.001
"""What gamma falls to."""


@named("fmn")
class FMN(NormDescent):
    """The smallest perturbation in L2, Linf or L1, inside a ball that closes on the boundary (fast minimum norm).

    Source: Pintor, Roli, Brendel and Biggio, *Fast minimum-norm adversarial attacks through adaptive norm constraints*,
    2021, algorithm 1.

    Parameters
    ----------
    norm : {"linf", "l2", "l1"}
        What is to be small.
    steps : int, >= 1
    step_size : float, > 0
        Euclidean length of the first step; of a range of `bounds` other than (0, 1), in units of that range.
    gamma : float, in (0, 1)
        Share by which the radius changes at first.
    reach : float, > 0, optional
        While nothing is misclassified the ball reaches beyond the point by so many distances to the linearised
        boundary. Default: 1 in Linf and L1, as in the paper; in L2, where that lets a quarter of images go, 3.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    def __init__(
        self,
        norm: Literal["linf", "l2", "l1"] = "linf",
        steps: int = 100,
        *,
        step_size: float = 1.0,
        gamma: float = 0.05,
        reach: float | None = None,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        self._take(steps, step_size, gamma, bounds)
        self.norm, self.reach = norm, {"linf": 1.0, "l2": 3.0, "l1": 1.0}[norm] if reach is None else reach
        finite(reach=self.reach, above_zero=True)

    def _objective(self, logits: Tensor, y: Tensor) -> Tensor:
        return margin(logits, y)

    def _first(self, x: Tensor) -> Tensor:
        return torch.full_like(x.flatten(1)[:, 0], torch.inf)

    def _radius(self, radius: Tensor, met: Met, share: float) -> Tensor:
        gamma = SMALLEST_GAMMA + (self.gamma - SMALLEST_GAMMA) * share
        # At the boundary itself, behind which a point has to be by more than rounding.
        ahead_of = met.value.abs() + met.rounded
        to_boundary = ahead_of / length(met.gradient, DUAL[self.norm]).clamp_min(tiny(met.gradient))
        # Rounding inwards would else keep a point in front of a boundary that is reached exactly.
        ahead = torch.maximum(met.size + self.reach * to_boundary, met.size * (1 + SMALLEST_GAMMA))
        outside = torch.where(met.smallest.isfinite(), radius * (1 + gamma), ahead)
        return torch.where(met.wrong, torch.minimum(radius * (1 - gamma), met.smallest), outside)

    def _brought_back(self, point: Tensor, x: Tensor, radius: Tensor) -> Tensor:
        # A radius that is infinite would make 0 * inf of what does not move.
        largest = torch.finfo(x.dtype).max ** 0.5
        within = unsqueeze_like(radius.clamp_max(largest), x)
        return BALLS[self.norm].project(point, x, within, self.bounds)  # type: ignore[arg-type]
