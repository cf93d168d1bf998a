"""Random noise: what no attack may be weaker than, and a corruption of its own."""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .base import Attack, Kind, named
from .cost import LOOK, Passes
from .geometry import BALLS, unsqueeze_like
from .inputs import Bounds, clipped
from .losses import margin
from .noise import Noise
from .ranges import check_ball, check_units


class RandomNoise(Attack):
    """Draws of noise, of which each example keeps the one with the largest margin; needs no gradients.

    Parameters
    ----------
    eps : float, >= 0
        Size of the noise, in the units of the space attacked.
    draws : int, >= 1
        Draws an example.
    seed : int
        Draws depend on it and on the example alone.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    needs_gradients = False
    weak = True

    effort: ClassVar[str | None] = "draws"

    def __init__(self, eps: float, draws: int = 1, *, seed: int = 0, bounds: Bounds | None = (0.0, 1.0)) -> None:
        check_ball(eps, bounds, None, draws=draws)
        self.eps, self.draws, self.seed, self.bounds = eps, draws, seed, bounds

    @property
    def passes(self) -> Passes:
        """A look at each draw, where there are several."""
        return (self.draws if self.draws > 1 else 0) * LOOK

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Draw and keep the worst."""
        noise = Noise(x, self.seed, "noise")
        worst = self.draw(x, noise)
        if self.draws == 1:
            return worst
        with torch.no_grad():
            highest = margin(model(worst), y)
            for _ in range(self.draws - 1):
                drawn = self.draw(x, noise)
                reached = margin(model(drawn), y)
                better = reached > highest
                worst = torch.where(unsqueeze_like(better, x), drawn, worst)
                highest = torch.where(better, reached, highest)
        return worst

    @abstractmethod
    def draw(self, x: Tensor, noise: Noise) -> Tensor:
        """Give noisy examples within `bounds`."""


@named("uniform-noise")
class UniformNoise(RandomNoise):
    """A control: the worst of some draws from the ball of radius eps.

    Parameters
    ----------
    eps, draws, seed, bounds
        As for `RandomNoise`.
    norm : {"linf", "l2", "l1"}
    """

    def __init__(
        self,
        eps: float,
        draws: int = 1,
        *,
        norm: Literal["linf", "l2", "l1"] = "linf",
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        super().__init__(eps, draws, seed=seed, bounds=bounds)
        check_units(eps, bounds, norm)
        self.ball = BALLS[norm]

    def draw(self, x: Tensor, noise: Noise) -> Tensor:
        """Draw from the ball."""
        return self.ball.project(self.ball.random(x, self.eps, noise), x, self.eps, self.bounds)


@named("gaussian-noise")
class GaussianNoise(RandomNoise):
    """Normal noise of standard deviation eps: a corruption, clipped to the bounds, of unbounded size.

    Parameters
    ----------
    eps, draws, seed, bounds
        As for `RandomNoise`.
    """

    kind: Kind = "noise"

    def draw(self, x: Tensor, noise: Noise) -> Tensor:
        """Add noise."""
        noisy = x + self.eps * noise.normal(*x.shape[1:])
        return clipped(noisy, self.bounds)
