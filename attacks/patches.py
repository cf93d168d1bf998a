"""How the Square attack changes an image: squares of +-eps in the Linf ball, hills and hollows in the L2 ball.

Source: Andriushchenko et al., *Square attack*, 2020, algorithms 2 and 3. Where a square lies and its signs are drawn
once for all examples, so that results do not depend on the batch.
"""

from typing import Protocol

import torch
from torch import Tensor

from .geometry import norms, tiny
from .noise import DRAWN


class Moves(Protocol):
    """How a search starts, and what it tries next."""

    def start(self, x: Tensor, eps: float, generator: torch.Generator) -> Tensor:
        """Give the first points tried around x, (N, C, H, W)."""

    def move(self, best: Tensor, x: Tensor, eps: float, side: int, generator: torch.Generator) -> Tensor:
        """Give the points tried after `best`, which differ from it in squares of `side`."""


class Stripes:
    """Linf: vertical stripes first, then squares, each channel by +-eps."""

    def start(self, x: Tensor, eps: float, generator: torch.Generator) -> Tensor:
        """Add stripes."""
        return x + eps * _signs(generator, (1, x.shape[1], 1, x.shape[3])).to(x)

    def move(self, best: Tensor, x: Tensor, eps: float, side: int, generator: torch.Generator) -> Tensor:
        """Shift a square by 2 eps and clip it to the ball."""
        top, left = _corner(generator, x, side)
        change = torch.zeros(x.shape[1:], **DRAWN)
        signs = _signs(generator, (x.shape[1], 1, 1))
        change[:, top : top + side, left : left + side] = 2 * eps * signs
        return torch.clamp(best + change.to(x), x - eps, x + eps)


class Hills:
    """L2: tiles of hills and hollows first; then one square gives its size to another, which takes a new shape."""

    def start(self, x: Tensor, eps: float, generator: torch.Generator) -> Tensor:
        """Tile the image."""
        _, channels, height, width = x.shape
        side = max(1, min(height, width) // 5)
        first = torch.zeros(channels, height, width, **DRAWN)
        margin = (height - 5 * side) // 2
        for top in range(max(margin, 0), height - side + 1, side):
            for left in range(max(margin, 0), width - side + 1, side):
                shape = _hill(side, generator) * _signs(generator, (channels, 1, 1))
                first[:, top : top + side, left : left + side] = shape
        return x + _on_sphere(first[None].to(x), eps)

    def move(self, best: Tensor, x: Tensor, eps: float, side: int, generator: torch.Generator) -> Tensor:
        """Empty one square and fill another with what is left of the radius."""
        side = min(max(3, side) | 1, *x.shape[2:])
        delta = best - x
        target, source = (_window(*_corner(generator, x, side), side) for _ in range(2))
        both = torch.maximum(_mask(x, target), _mask(x, source))
        spare = (eps**2 - norms(delta).square()).clamp_min(0)
        budget = (spare / x.shape[1] + (delta * both).square().sum(dim=(2, 3), keepdim=True)).sqrt()
        shape = (_hill(side, generator) * _signs(generator, (x.shape[1], 1, 1))).to(x)
        kept = delta[target]
        shape = shape + kept / (_window_norm(kept) + tiny(x))
        delta = delta.clone()
        delta[source] = 0
        delta[target] = shape / (_window_norm(shape) + tiny(x)) * budget
        return x + _on_sphere(delta, eps)


MOVES: dict[str, Moves] = {"linf": Stripes(), "l2": Hills()}

Window = tuple[slice, slice, slice, slice]


def _window(top: int, left: int, side: int) -> Window:
    return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


def _mask(x: Tensor, window: Window) -> Tensor:
    mask = torch.zeros((1, *x.shape[1:]), dtype=x.dtype, device=x.device)
    mask[window] = 1
    return mask


def _window_norm(values: Tensor) -> Tensor:
    lengths: Tensor = values.square().sum(dim=(2, 3), keepdim=True).sqrt()
    return lengths


def _on_sphere(delta: Tensor, eps: float) -> Tensor:
    """Scale to length eps."""
    return delta / norms(delta).clamp_min(tiny(delta)) * eps


def _hill(side: int, generator: torch.Generator) -> Tensor:
    """Give a hill beside a hollow, of length 1, lying or standing: (side, side)."""
    half = side // 2
    shape = torch.cat([_pyramid(half, side), -_pyramid(side - half, side)])
    shape = shape / shape.norm().clamp_min(1e-12)
    turned: Tensor = shape.T if torch.rand((), generator=generator, **DRAWN) > 0.5 else shape
    return turned


def _pyramid(height: int, width: int) -> Tensor:
    """Stack rectangles around the centre, each lower than the one inside it; of length 1."""
    shape = torch.zeros(height, width, **DRAWN)
    middle, centre = height // 2, width // 2
    for ring in range(max(middle, centre) + 1):
        rows = slice(max(middle - ring, 0), middle + ring + 1)
        columns = slice(max(centre - ring, 0), centre + ring + 1)
        shape[rows, columns] += 1 / (ring + 1) ** 2
    pyramid: Tensor = shape / shape.norm().clamp_min(1e-12)
    return pyramid


def _corner(generator: torch.Generator, x: Tensor, side: int) -> tuple[int, int]:
    """Draw where a square lies: as in the authors' code it never reaches the last row or column, unless it has to."""
    height, width = x.shape[2:]
    top = int(torch.randint(max(height - side, 1), (), generator=generator, **DRAWN))
    left = int(torch.randint(max(width - side, 1), (), generator=generator, **DRAWN))
    return top, left


def _signs(generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    return 2 * torch.randint(2, shape, generator=generator, **DRAWN) - 1
