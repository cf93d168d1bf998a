"""How the Square attack changes an image: squares of +-eps in the Linf ball, hills and hollows in the others.

Sources: Andriushchenko et al., *Square attack*, 2020, algorithms 2 and 3; for L1, the code of Croce and Hein, *Mind the
box*, 2021 (fra31/auto-attack). Where a square lies and its signs are drawn
once for all examples, so that results do not depend on the batch.
"""

from typing import Protocol

import torch
from torch import Tensor

from .geometry import ORDERS, length, tiny, unsqueeze_like
from .noise import DRAWN
from .passes import sent

Shape = tuple[int, int, int]
"""Of an image: channels, height, width."""


class Moves(Protocol):
    """How a search starts, and what it tries next."""

    def start(self, shape: Shape, generator: torch.Generator) -> Tensor:
        """Draw the first change, (1, C, H, W)."""

    def begin(self, x: Tensor, eps: float, first: Tensor) -> Tensor:
        """Give the first points tried around x, (N, C, H, W)."""

    def draw(self, shape: Shape, side: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw what one move is: tensors whose shapes do not depend on `side`."""

    def move(self, best: Tensor, x: Tensor, eps: float, drawn: dict[str, Tensor]) -> Tensor:
        """Give the points tried after `best`, to be projected into the ball, one for each entry of what was drawn."""


class Stripes:
    """Linf: vertical stripes first, then squares, each channel by +-eps."""

    def start(self, shape: Shape, generator: torch.Generator) -> Tensor:
        """Draw the stripes' signs."""
        return _signs(generator, (1, shape[0], 1, shape[2]))

    def begin(self, x: Tensor, eps: float, first: Tensor) -> Tensor:
        """Add stripes."""
        return x + eps * first

    def draw(self, shape: Shape, side: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw where a square lies, and its signs."""
        return {"square": _corner(generator, shape, side), "signs": _signs(generator, (shape[0], 1, 1))}

    def move(self, best: Tensor, x: Tensor, eps: float, drawn: dict[str, Tensor]) -> Tensor:
        """Shift a square by 2 eps, which the ball is to clip."""
        return best + torch.where(_inside(drawn["square"], x), 2 * eps * drawn["signs"].to(x), 0)


class Hills:
    """L2: tiles of hills and hollows first; then one square gives its size to another, which takes a new shape."""

    norm = "l2"
    steepness = 2
    """A hill's rectangles are lower than the one inside them by this power of their distance from the centre."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[int, bool], int] = {}
        self._hills = self._there = torch.zeros(0, 1, 1, **DRAWN)

    def start(self, shape: Shape, generator: torch.Generator) -> Tensor:
        """Tile the image."""
        channels, height, width = shape
        side = max(1, min(height, width) // 5)
        first = torch.zeros(channels, height, width, **DRAWN)
        margin = (height - 5 * side) // 2
        for top in range(max(margin, 0), height - side + 1, side):
            for left in range(max(margin, 0), width - side + 1, side):
                hill = self._hill(side, turned=_turned(generator)) * _signs(generator, (channels, 1, 1))
                first[:, top : top + side, left : left + side] = hill
        return first[None]

    def begin(self, x: Tensor, eps: float, first: Tensor) -> Tensor:
        """Bring the tiles to length eps."""
        return x + self._brought_to(first, eps)

    def draw(self, shape: Shape, side: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw which square fills another, and the shape that this one takes."""
        side = min(max(3, side) | 1, *shape[1:])
        target, source = (_corner(generator, shape, side) for _ in range(2))
        kind = torch.tensor(self._kind(side, turned=_turned(generator)), device=DRAWN["device"])
        return {"target": target, "source": source, "kind": kind, "signs": _signs(generator, (shape[0], 1, 1))}

    def move(self, best: Tensor, x: Tensor, eps: float, drawn: dict[str, Tensor]) -> Tensor:
        """Empty one square and fill another with what is left of the radius."""
        delta = best - x
        target, source = _inside(drawn["target"], x), _inside(drawn["source"], x)
        budget = self._budget(delta, delta * (target | source), eps)
        kept = delta * target
        shape = self._placed(drawn["target"], drawn["kind"], x) * drawn["signs"].to(x) + kept / (
            self._length(kept) + tiny(x)
        )
        filled = shape / (self._length(shape) + tiny(x)) * budget
        return x + self._brought_to(torch.where(target, filled, torch.where(source, 0, delta)), eps)

    def _budget(self, delta: Tensor, squares: Tensor, eps: float) -> Tensor:
        """Give the length that each channel of a square may have, (N, C, 1, 1)."""
        spare = (eps**2 - unsqueeze_like(length(delta, "l2"), delta).square()).clamp_min(0)
        return (spare / delta.shape[1] + self._length(squares).square()).sqrt()

    def _brought_to(self, delta: Tensor, eps: float) -> Tensor:
        """Scale to length eps."""
        return delta / unsqueeze_like(length(delta, "l2"), delta).clamp_min(tiny(delta)) * eps

    def _length(self, values: Tensor) -> Tensor:
        """Length of each channel, (N, C, 1, 1)."""
        lengths: Tensor = values.square().sum(dim=(2, 3), keepdim=True).sqrt()
        return lengths

    def _hill(self, side: int, *, turned: bool) -> Tensor:
        """Give a hill beside a hollow, of length 1, lying or standing: (side, side)."""
        half = side // 2
        hill = torch.cat([self._pyramid(half, side), -self._pyramid(side - half, side)])
        hill = self._of_length_1(hill)
        return hill.T if turned else hill

    def _pyramid(self, height: int, width: int) -> Tensor:
        """Stack rectangles around the centre, each lower than the one inside it; of length 1."""
        shape = torch.zeros(height, width, **DRAWN)
        middle, centre = height // 2, width // 2
        for ring in range(max(middle, centre) + 1):
            rows = slice(max(middle - ring, 0), middle + ring + 1)
            columns = slice(max(centre - ring, 0), centre + ring + 1)
            shape[rows, columns] += 1 / (ring + 1) ** self.steepness
        return self._of_length_1(shape)

    def _of_length_1(self, shape: Tensor) -> Tensor:
        scaled: Tensor = shape / shape.norm(p=ORDERS[self.norm]).clamp_min(1e-12)
        return scaled

    def _kind(self, side: int, *, turned: bool) -> int:
        """Give the number of a hill, and keep what it looks like."""
        number = self._kinds.setdefault((side, turned), len(self._kinds))
        if number == len(self._hills):
            size = max(side, self._hills.shape[1])
            hills = torch.zeros(number + 1, size, size, **DRAWN)
            hills[:number, : self._hills.shape[1], : self._hills.shape[1]] = self._hills
            hills[number, :side, :side] = self._hill(side, turned=turned)
            self._hills = hills
        return number

    def _placed(self, square: Tensor, kind: Tensor, x: Tensor) -> Tensor:
        """Give images that are 0 but for a hill and a hollow in each square: (N, 1, H, W)."""
        top, left, _ = square.unbind(dim=1)
        last = self._hills.shape[1] - 1
        down = _offsets(top, x.shape[2]).clamp(0, last)[:, :, None]
        right = _offsets(left, x.shape[3]).clamp(0, last)[:, None, :]
        if len(self._there) != len(self._hills) or self._there.device != x.device or self._there.dtype != x.dtype:
            self._there = sent(self._hills, x.device).to(x)
        return self._there[kind[:, None, None], down, right][:, None] * _inside(square, x)


class SharpHills(Hills):
    """L1: the same of steeper hills, of which the ball leaves the tops."""

    norm = "l1"
    steepness = 4

    def _budget(self, delta: Tensor, squares: Tensor, eps: float) -> Tensor:
        spare = (eps - unsqueeze_like(length(delta, "l1"), delta)).clamp_min(0)
        return spare + self._length(squares) * delta.shape[1]

    def _brought_to(self, delta: Tensor, eps: float) -> Tensor:  # noqa: ARG002
        return delta

    def _length(self, values: Tensor) -> Tensor:
        return values.abs().sum(dim=(2, 3), keepdim=True)


MOVES: dict[str, type[Moves]] = {"linf": Stripes, "l2": Hills, "l1": SharpHills}


def _inside(square: Tensor, x: Tensor) -> Tensor:
    """Tell which pixels lie in each square (top, left, side): (N, 1, H, W), bool."""
    top, left, side = square.unbind(dim=1)
    across = _offsets(top, x.shape[2]), _offsets(left, x.shape[3])
    rows, columns = ((offsets >= 0) & (offsets < side[:, None]) for offsets in across)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _offsets(start: Tensor, length: int) -> Tensor:
    return torch.arange(length, device=start.device) - start[:, None]


def _turned(generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator, **DRAWN) > 0.5)


def _corner(generator: torch.Generator, shape: Shape, side: int) -> Tensor:
    """Draw where a square lies, (top, left, side).

    As in the authors' code it never reaches the last row or column, unless it has to.
    """
    _, height, width = shape
    top = int(torch.randint(max(height - side, 1), (), generator=generator, **DRAWN))
    left = int(torch.randint(max(width - side, 1), (), generator=generator, **DRAWN))
    return torch.tensor([top, left, side], device=DRAWN["device"])


def _signs(generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
    return 2 * torch.randint(2, shape, generator=generator, **DRAWN) - 1
