"""Balls in which a perturbation has to stay: how to start in them, move in them, and come back to them."""

from typing import Protocol

import torch
from torch import Tensor

from .inputs import Bounds, clipped
from .l1 import L1
from .noise import FreshNoise, Noise

ORDERS = {"l2": 2.0, "l1": 1.0}

DUAL = {"linf": "l1", "l2": "l2", "l1": "linf"}
"""Norm of a gradient by which a linear function rises within a ball of each norm."""


class Ball(Protocol):
    """A norm's ball around each clean example. `eps` is a number or one value an example."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Give the step of size 1 that raises a linear function most."""

    def project(self, x_adv: Tensor, x: Tensor, eps: float, bounds: Bounds | None) -> Tensor:
        """Bring x_adv into the ball around x and into the bounds."""

    def random(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw a point of the ball around x."""

    def surface(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw a point at distance eps from x."""


class Linf:
    """Every entry within eps."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Give the sign."""
        return gradient.sign()

    def project(self, x_adv: Tensor, x: Tensor, eps: float, bounds: Bounds | None) -> Tensor:
        """Clip every entry."""
        return clipped(torch.clamp(x_adv, x - eps, x + eps), bounds)

    def random(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw uniformly."""
        return x + eps * (2 * noise.uniform(*x.shape[1:]) - 1)

    def surface(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw uniformly, and stretch until the largest entry is eps."""
        drawn = 2 * noise.uniform(*x.shape[1:]) - 1
        return x + eps * drawn / unsqueeze_like(length(drawn, "linf"), x).clamp_min(torch.finfo(x.dtype).tiny)


class L2:
    """Euclidean length of the whole perturbation within eps."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Give the gradient at length 1; 0 where it is 0, or no number."""
        gradient = gradient.nan_to_num(nan=0.0)
        return gradient / norms(gradient).clamp_min(torch.finfo(gradient.dtype).tiny)

    def project(self, x_adv: Tensor, x: Tensor, eps: float, bounds: Bounds | None) -> Tensor:
        """Shorten what is too long, then clip to the bounds, which shortens it further."""
        delta = x_adv - x
        sizes = norms(delta)
        # A point that is in the ball to its values' rounding stays as it is, so that projecting twice changes nothing.
        inside = sizes <= eps + unsqueeze_like(rounding(x_adv, x, "l2"), x)
        shortened = torch.where(inside, x_adv, x + delta * (eps / sizes.clamp_min(torch.finfo(x.dtype).tiny)))
        # Where entries are alike, they are rounded alike: their errors add up to more than those of one entry.
        beyond = norms(shortened - x) > eps + 2 * unsqueeze_like(rounding(shortened, x, "l2"), x)
        return clipped(torch.where(beyond, torch.nextafter(shortened, x), shortened), bounds)

    def random(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw uniformly from the ball: a random direction, and a radius by the d-th root of a uniform number."""
        features = x[0].numel() if len(x) else 1
        radius = noise.uniform(*(1,) * (x.ndim - 1)).pow(1 / features)
        return x + eps * radius * self.direction(noise.normal(*x.shape[1:]))

    def surface(self, x: Tensor, eps: float, noise: Noise | FreshNoise) -> Tensor:
        """Draw a random direction."""
        return x + eps * self.direction(noise.normal(*x.shape[1:]))


def norms(x: Tensor) -> Tensor:
    """Euclidean length of each example, (N, 1, ..., 1)."""
    return unsqueeze_like(length(x, "l2"), x)


def at_least_float32(x: Tensor) -> torch.dtype:
    """Give the dtype in which to sum steps towards points of x, which half precision would round away."""
    return torch.promote_types(x.dtype, torch.float32)


def unsqueeze_like(values: Tensor, like: Tensor) -> Tensor:
    """One value an example, (N,), shaped to multiply examples."""
    return values.view(-1, *(1,) * (like.ndim - 1))


def length(delta: Tensor, norm: str) -> Tensor:
    """Size of each example's perturbation, (N,), in "linf", "l2" or "l1"; summed in float64 where the device has it."""
    if norm == "linf":
        return delta.flatten(1).abs().amax(dim=1)
    exact = None if delta.device.type == "mps" else torch.float64
    sizes: Tensor = torch.linalg.vector_norm(delta.flatten(1), ord=ORDERS[norm], dim=1, dtype=exact)
    return sizes.to(delta.dtype)


def tiny(x: Tensor) -> float:
    """Give what a divisor may be kept above: 1e-12, or where that is 0 in the dtype of x, its smallest number."""
    return max(1e-12, torch.finfo(x.dtype).tiny)


def rounding(x_adv: Tensor, x: Tensor, norm: str) -> Tensor:
    """Error that rounding leaves in a perturbation's size, (N,), in the dtype of x; of L1 in float64.

    One to two units in the last place at the largest of the values and the size: x + d is rounded there, however small
    d is, so that a tolerance that is a share of the radius is too narrow for small radii. In L1 the errors of all
    entries that were moved add up, as if they had one sign; where an entry was not moved, d may have been 0.
    """
    if norm == "l1":
        # In float64, since a sum of many entries is no number of float16.
        moved = torch.where(x_adv == x, 0, torch.maximum(x_adv.abs(), x.abs())).double()
        return (length(moved, norm) + length(x_adv.double() - x.double(), norm)) * torch.finfo(x.dtype).eps
    largest = torch.maximum(length(x_adv, "linf"), length(x, "linf"))
    return torch.maximum(largest, length(x_adv - x, norm)) * torch.finfo(x.dtype).eps


def least_size(x_adv: Tensor, x: Tensor, norm: str) -> Tensor:
    """Smallest size that a perturbation can have had before it was rounded, (N,), float64.

    What is in the ball of radius eps, to rounding, is where this is <= eps; every comparison with a radius goes by it.
    """
    size = length(x_adv.double() - x.double(), norm)
    return (size - rounding(x_adv, x, norm).double()).clamp_min(0)


LOOSE = 1e-3
"""Share of eps by which somebody else's attack may overshoot before it counts as made for another ball."""


def checked_projection(x_adv: Tensor, x: Tensor, eps: float, norm: str, bounds: Bounds | None, name: str) -> Tensor:
    """Bring what an attack gave into the ball and the bounds, whoever wrote it.

    Raises
    ------
    ValueError
        If it is further out than rounding explains, or not a number.
    """
    if not len(x):
        return x_adv
    over = (least_size(x_adv, x, norm) - eps).max().item()
    if not over <= LOOSE * eps + 1e-5:
        msg = f"{name} went {over:.3g} beyond eps = {eps:.4g} in {norm}; it is made for another norm or radius"
        raise ValueError(msg)
    return BALLS[norm].project(x_adv, x, eps, bounds)


BALLS: dict[str, Ball] = {"linf": Linf(), "l2": L2(), "l1": L1()}
