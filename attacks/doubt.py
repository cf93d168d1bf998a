"""Images that may withstand gradient attacks only because gradients say little there: what asks for the black box.

Signs of masked gradients (Athalye, Carlini and Wagner, *Obfuscated gradients give a false sense of security*, 2018),
each read off one image, so that what is asked of an image does not depend on those it is attacked with.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .cost import GRADIENT, LOOK
from .geometry import Ball, length, tiny, unsqueeze_like
from .gradients import input_gradient
from .inputs import Bounds
from .losses import cross_entropy, margin, rounding
from .passes import Steady, parts_of, sent
from .precision import rounded_products

SMALL_STEP = 0.05
"""In units of eps, of a step along which the margin should rise as its gradient says."""
RISES = 0.25
"""Share of that rise below which the gradient says little."""
DIRECTIONS, TINY_STEP = 6, 0.02
"""Random directions, and the step in them in units of eps, in which the margin should change as its gradient says."""
CLEAR = 10
"""So many times what rounding may be should that change be, or the step is longer, at most eps."""
MISTAKEN = 0.3
"""Difference from what it says, relative to it, above which the gradient is not the slope."""
AHEAD = 0.8
"""Share of the margin's rise under gradient attacks that a short random search has to reach to cast doubt on them."""
ROUNDING = 1e-4
"""Difference of two passes' logits, relative to their size, that is rounding."""

COST = 2 * GRADIENT + (2 + DIRECTIONS) * LOOK
"""Passes of `signs`."""


class Signs(NamedTuple):
    """At which images gradients say little, and in which way, (N,) bool each.

    Attributes
    ----------
    saturated : Tensor
        The cross-entropy is 0, to rounding, or its gradient is, and that of the margin is not.
    vanishing : Tensor
        The gradient of the margin is 0 everywhere, or no number.
    bent : Tensor
        The margin does not rise along its gradient, by a quarter of what that says; or in random directions it changes
        otherwise than the gradient says, by three tenths, or by no more than rounding, so that nothing can be said.
    noisy : Tensor
        Another pass gives other logits.
    """

    saturated: Tensor
    vanishing: Tensor
    bent: Tensor
    noisy: Tensor


def doubted(model: nn.Module, x: Tensor, y: Tensor, eps: float, ball: Ball, bounds: Bounds | None) -> Tensor:
    """Say at which images gradients say little, in whichever way (`Signs`), (N,), bool. Parameters as of `signs`."""
    return torch.stack(signs(model, x, y, eps, ball, bounds)).any(dim=0)


def signs(model: nn.Module, x: Tensor, y: Tensor, eps: float, ball: Ball, bounds: Bounds | None) -> Signs:
    """Say at which images gradients say little.

    Parameters
    ----------
    model : nn.Module
    x : Tensor, (N, ...)
    y : Tensor, (N,)
    eps, ball, bounds
        Of the attack.

    Raises
    ------
    NoGradientError
        If no gradient of the model's output reaches its input.
    """
    steady = Steady(model)
    # Products rounded to ten bits (TF32) change a margin by more than such steps do: every image would be in doubt.
    with rounded_products(allowed=False):
        parts = [_signs(steady, x[each], y[each], eps, ball, bounds) for each in parts_of(x)]
    if not parts:
        return Signs(*torch.zeros(4, 0, dtype=torch.bool, device=x.device))
    return Signs(*map(torch.cat, zip(*parts, strict=True)))


def outdone(by_gradients: Tensor, by_chance: Tensor) -> Tensor:
    """Say where a short random search raised the margin about as far as gradient attacks did, (N,), bool.

    Parameters
    ----------
    by_gradients, by_chance : Tensor, (N,)
        How far the margin rose, from that of the clean image.
    """
    return by_chance >= AHEAD * by_gradients


def _signs(model: nn.Module, x: Tensor, y: Tensor, eps: float, ball: Ball, bounds: Bounds | None) -> Signs:
    _, entropy, of_entropy = input_gradient(model, x, lambda logits: cross_entropy(logits, y))
    logits, here, gradient = input_gradient(model, x, lambda logits: margin(logits, y))
    rounded = rounding(logits, y)

    def ahead(direction: Tensor, step: Tensor) -> Tensor:
        return ball.project(x + unsqueeze_like(step * eps, x) * ball.direction(direction.expand_as(x)), x, eps, bounds)

    def expected(point: Tensor) -> Tensor:
        return ((point - x) * gradient).flatten(1).sum(dim=1)

    def change(point: Tensor) -> Tensor:
        with torch.no_grad():
            return margin(model(point), y) - here

    point = ahead(gradient, torch.full_like(here, SMALL_STEP))
    # Where a step changes no more than rounding does, it says nothing.
    flat = (change(point) < RISES * expected(point)) & (expected(point) > rounded)
    directions, step = _directions(x), torch.full_like(here, TINY_STEP)
    slope = _root_mean_square([expected(ahead(each, step)) for each in directions])
    step = (step * CLEAR * rounded / slope.clamp_min(tiny(slope))).clamp(TINY_STEP, 1)
    points = [ahead(each, step) for each in directions]
    slope = _root_mean_square([expected(each) for each in points])
    error = _root_mean_square([change(each) - expected(each) for each in points])
    # Nor can be told from rounding what the gradient says of a whole radius.
    mistaken = (error > MISTAKEN * slope + rounded) | (MISTAKEN * slope < rounded)
    with torch.no_grad():
        again = (model(x) - logits).abs() > ROUNDING * (logits.abs() + logits.gather(1, y[:, None]).abs())
    vanishing = _vanishes(gradient)
    saturated = ((entropy == 0) | _vanishes(of_entropy)) & ~vanishing
    return Signs(saturated, vanishing, flat | mistaken, again.any(dim=1))


def _directions(x: Tensor) -> Tensor:
    """Give signs for every entry, the same for all images, (DIRECTIONS, 1, ...)."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (DIRECTIONS, 1, *x.shape[1:]), generator=generator, device="cpu")
    return sent(signs, x.device).to(x.dtype) * 2 - 1


def _root_mean_square(values: list[Tensor]) -> Tensor:
    return torch.stack(values).square().mean(dim=0).sqrt()


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
