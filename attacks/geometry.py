"""Balls in which a perturbation has to stay: how to start in them, move in them, and come back to them."""

from typing import Protocol

import torch
from torch import Tensor

from .base import Bounds
from .noise import FreshNoise, Noise


class Ball(Protocol):
    """A norm's ball around each clean example. `eps` is a number or one value an example."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Give the step of size 1 that raises a linear function most."""

    def project(self, x_adv: Tensor, x: Tensor, eps: float, bounds: Bounds | None) -> Tensor:
        """Bring x_adv into the ball around x and into the bounds."""

    def random(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw a point of the ball around x."""


class Linf:
    """Every entry within eps."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Give the sign."""
        return gradient.sign()

    def project(self, x_adv: Tensor, x: Tensor, eps: float, bounds: Bounds | None) -> Tensor:
        """Clip every entry."""
        x_adv = torch.clamp(x_adv, x - eps, x + eps)
        return x_adv if bounds is None else x_adv.clamp(*bounds)

    def random(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw uniformly."""
        return x + eps * (2 * noise.uniform(*x.shape[1:]) - 1)


class L2:
    """Euclidean length of the whole perturbation within eps."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Give the gradient at length 1; 0 where it is 0."""
        return gradient / norms(gradient).clamp_min(torch.finfo(gradient.dtype).tiny)

    def project(self, x_adv: Tensor, x: Tensor, eps: float, bounds: Bounds | None) -> Tensor:
        """Shorten what is too long, then clip to the bounds, which shortens it further."""
        moved = x_adv - x
        # A hair below eps, so that rounding does not put the sum above it.
        shortened: Tensor = x + moved * (eps * (1 - 1e-6) / norms(moved).clamp_min(1e-30)).clamp_max(1)
        return shortened if bounds is None else shortened.clamp(*bounds)

    def random(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw uniformly from the ball: a random direction, and a radius by the d-th root of a uniform number."""
        features = x[0].numel() if len(x) else 1
        radius = noise.uniform(*(1,) * (x.ndim - 1)).pow(1 / features)
        return x + eps * radius * self.direction(noise.normal(*x.shape[1:]))


def norms(x: Tensor) -> Tensor:
    """Euclidean length of each example, (N, 1, ..., 1)."""
    return wide(length(x, "l2"), x)


def wide(values: Tensor, like: Tensor) -> Tensor:
    """One value an example, (N,), shaped to multiply examples."""
    return values.view(-1, *(1,) * (like.ndim - 1))


def length(moved: Tensor, norm: str) -> Tensor:
    """Size of each example's perturbation, (N,), in "linf" or "l2"."""
    flat = moved.flatten(1)
    sizes: Tensor = torch.linalg.vector_norm(flat, ord=2 if norm == "l2" else torch.inf, dim=1)
    return sizes


BALLS: dict[str, Ball] = {"linf": Linf(), "l2": L2()}
