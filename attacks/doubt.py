"""Images that may withstand gradient attacks only because gradients say little there: what asks for the black box.

Signs of masked gradients (Athalye, Carlini and Wagner, *Obfuscated gradients give a false sense of security*, 2018),
each read off one image, so that what is asked of an image does not depend on those it is attacked with.
"""

import torch
from torch import Tensor, nn

from .cost import GRADIENT, LOOK
from .geometry import Ball, length
from .gradients import input_gradient
from .inputs import Bounds
from .losses import cross_entropy, margin
from .passes import Steady, parts_of

SMALL_STEP = 0.05
"""In units of eps, of a step along which the margin should rise as its gradient says."""
RISES = 0.25
"""Share of that rise below which the gradient says little."""
AHEAD = 0.8
"""Share of the margin's rise under gradient attacks that a short random search has to reach to cast doubt on them."""
ROUNDING = 1e-4
"""Difference of logits, relative to the largest, that is rounding."""

COST = 2 * GRADIENT + 2 * LOOK
"""Passes of `doubted`."""


def doubted(model: nn.Module, x: Tensor, y: Tensor, eps: float, ball: Ball, bounds: Bounds | None) -> Tensor:
    """Say at which images gradients say little, (N,), bool.

    There the cross-entropy is 0, to rounding, or its gradient is, or that of the margin; or the margin does not rise
    along its gradient, by a quarter of what that says; or another pass gives other logits.

    Parameters
    ----------
    model : nn.Module
    x : Tensor, (N, ...)
    y : Tensor, (N,)
    eps, ball, bounds
        Of the attack.
    """
    steady = Steady(model)
    parts = [_doubted(steady, x[each], y[each], eps, ball, bounds) for each in parts_of(x)]
    return torch.cat(parts) if parts else torch.zeros_like(y, dtype=torch.bool)


def outdone(by_gradients: Tensor, by_chance: Tensor) -> Tensor:
    """Say where a short random search raised the margin about as far as gradient attacks did, (N,), bool.

    Parameters
    ----------
    by_gradients, by_chance : Tensor, (N,)
        How far the margin rose, from that of the clean image.
    """
    return by_chance >= AHEAD * by_gradients


def _doubted(model: nn.Module, x: Tensor, y: Tensor, eps: float, ball: Ball, bounds: Bounds | None) -> Tensor:
    _, entropy, of_entropy = input_gradient(model, x, lambda logits: cross_entropy(logits, y))
    logits, here, gradient = input_gradient(model, x, lambda logits: margin(logits, y))
    ahead = ball.project(x + SMALL_STEP * eps * ball.direction(gradient), x, eps, bounds)
    with torch.no_grad():
        again, there = model(x), margin(model(ahead), y)
    scale = logits.abs().amax(dim=1)
    said = ((ahead - x) * gradient).flatten(1).sum(dim=1)
    # Where a step changes no more than rounding does, it says nothing.
    flat = (there - here < RISES * said) & (said > ROUNDING * scale)
    random = (again - logits).abs().amax(dim=1) > ROUNDING * scale
    found: Tensor = (entropy == 0) | _vanishes(of_entropy) | _vanishes(gradient) | flat | random
    return found


def _vanishes(gradient: Tensor) -> Tensor:
    largest = length(gradient, "linf")
    return (largest == 0) | ~largest.isfinite()


class Rises:
    """How far members of an ensemble raised the margin of each image.

    Parameters
    ----------
    clean : Tensor, (N,)
        Margins before.
    """

    def __init__(self, clean: Tensor) -> None:
        self._clean = clean
        self._highest = {needs: torch.full_like(clean, -torch.inf) for needs in (True, False)}

    def note(self, rows: Tensor, margins: Tensor, *, gradients: bool) -> None:
        """Note what a member, which needs gradients or does not, reached on some images."""
        highest = self._highest[gradients]
        highest[rows] = torch.maximum(highest[rows], margins)

    def outdone(self, rows: Tensor) -> Tensor:
        """Say of some images whether `outdone` holds."""
        by_gradients, by_chance = (self._highest[needs][rows] - self._clean[rows] for needs in (True, False))
        return outdone(by_gradients, by_chance)
