"""The smallest perturbation in L2, whose length and direction are sought apart."""

import torch
from torch import Tensor

from .base import named
from .geometry import BALLS, unsqueeze_like
from .inputs import Bounds, clipped
from .losses import cross_entropy, margin
from .norm_descent import Met, NormDescent
from .ranges import finite


@named("ddn")
class DDN(NormDescent):
    """The smallest perturbation in L2, whose length and direction are sought apart (decoupled direction and norm).

    Source: Rony et al., *Decoupling direction and norm for efficient gradient-based L2 adversarial attacks and
    defenses*, 2019, algorithm 1, without its rounding to 8 bits.

    Parameters
    ----------
    steps : int, >= 1
    radius : float, > 0
        Length to begin with, in the same units.
    step_size : float, > 0
        Euclidean length of the first step; of a range of `bounds` other than (0, 1), in units of that range.
    gamma : float, in (0, 1)
        Share by which the length changes.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    norm = "l2"

    def __init__(
        self,
        steps: int = 100,
        *,
        radius: float = 1.0,
        step_size: float = 1.0,
        gamma: float = 0.05,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        self._take(steps, step_size, gamma, bounds)
        finite(radius=radius, above_zero=True)
        self.radius = radius

    def _objective(self, logits: Tensor, y: Tensor) -> Tensor:
        entropy = cross_entropy(logits, y)
        # Where it is saturated it has no gradient.
        return torch.where(entropy > 0, entropy, margin(logits, y))

    def _first(self, x: Tensor) -> Tensor:
        return torch.full_like(x.flatten(1)[:, 0], self._unit * self.radius)

    def _radius(self, radius: Tensor, met: Met, share: float) -> Tensor:  # noqa: ARG002
        return torch.where(met.wrong, radius * (1 - self.gamma), radius * (1 + self.gamma))

    def _brought_back(self, point: Tensor, x: Tensor, radius: Tensor) -> Tensor:
        delta = BALLS["l2"].direction(point - x) * unsqueeze_like(radius, x)
        return clipped(x + delta, self.bounds)
