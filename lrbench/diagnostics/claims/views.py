"""A network as some rungs see it: the same classes, other numbers."""

import torch
from torch import Tensor, nn

from lrbench.attacks.geometry import Ball, tiny
from lrbench.attacks.noise import DRAWN

SPREAD = 3.0
"""Standard deviation of an image's logits after rescaling: far from where a cross-entropy is flat."""


class Rescaled(nn.Module):
    """A network whose logits have the same standard deviation for every image; which class is largest is the same.

    Parameters
    ----------
    model : nn.Module
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Logits; the factor counts as a constant on the way back."""
        logits: Tensor = self.model(x)
        scale = logits.detach().std(dim=1, keepdim=True).clamp_min(tiny(logits))
        return logits * (SPREAD / scale)


class Smoothed(nn.Module):
    """The mean logits of a network over noise around its input, always the same draws for the same number of images.

    Parameters
    ----------
    model : nn.Module
    ball : Ball
    size : float
        Radius of the noise.
    draws : int
    """

    def __init__(self, model: nn.Module, ball: Ball, size: float, draws: int) -> None:
        super().__init__()
        self.model, self.ball, self.size, self.draws = model, ball, size, draws

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        generator = torch.Generator().manual_seed(0)
        parts = []
        for _ in range(self.draws):
            noise = torch.randn(x.shape[1:], generator=generator, **DRAWN).to(x)
            parts.append(self.model(x + self.size * self.ball.direction(noise.expand_as(x))))
        return torch.stack(parts).mean(dim=0)


class InFloat64(nn.Module):
    """A copy of a network in float64.

    Parameters
    ----------
    model : nn.Module
        In float64 already.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Logits in float64."""
        logits: Tensor = self.model(x.to(torch.float64))
        return logits
