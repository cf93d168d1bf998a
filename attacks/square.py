"""Square attack: random search with square patches; needs no gradients.

Source: Andriushchenko, Croce, Flammarion and Hein, *Square attack: a query-efficient black-box adversarial attack via
random search*, 2020: algorithm 1, with algorithm 2 for the Linf and algorithm 3 for the L2 ball.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from .base import Attack, Bounds, check_ball
from .losses import margin
from .patches import Hills, Moves, Stripes

# Iterations (of 10,000) after which the share of the image that a patch covers is halved again.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


class Square(Attack):
    """Square attack on the margin.

    What a patch is and where it lies is the same for all examples and follows `seed` alone, so that results do not
    depend on the batch. An example is left alone once it is misclassified.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    queries : int, >= 1
        Forward passes an example at most.
    norm : {"linf", "l2"}
    patch : float in (0, 1], optional
        Share of the image that the first patches cover. Default: 0.8 in the Linf ball, 0.1 in the L2 ball.
    seed : int
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range, or examples are not images (N, C, H, W).
    """

    def __init__(
        self,
        eps: float,
        queries: int = 5000,
        *,
        norm: Literal["linf", "l2"] = "linf",
        patch: float | None = None,
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        check_ball(eps, bounds, {"queries": queries})
        patch = {"linf": 0.8, "l2": 0.1}[norm] if patch is None else patch
        if not 0 < patch <= 1:
            msg = f"patch must lie in (0, 1], got {patch}"
            raise ValueError(msg)
        self.eps, self.queries, self.patch, self.seed, self.bounds = eps, queries, patch, seed, bounds
        self.moves: Moves = Stripes() if norm == "linf" else Hills()

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Search patch by patch."""
        if x.ndim != 4:
            msg = f"the Square attack works on images (N, C, H, W), got shape {tuple(x.shape)}"
            raise ValueError(msg)
        generator = torch.Generator().manual_seed(self.seed)
        with torch.no_grad():
            reached = margin(model(x), y)
            start = self.moves.start(x, self.eps, generator)
            best, reached = self._better(model, y, x, reached, start)
            for query in range(1, self.queries):
                side = self._side(query, x)
                standing = (reached <= 0).nonzero().squeeze(1)
                if not len(standing):
                    break
                rows = best[standing]
                tried = self.moves.move(rows, x[standing], self.eps, side, generator)
                best[standing], reached[standing] = self._better(model, y[standing], rows, reached[standing], tried)
        return best

    def _side(self, query: int, x: Tensor) -> int:
        """Side of the square tried at a query."""
        height, width = x.shape[2:]
        halvings = sum(query / self.queries * 10_000 > place for place in HALVINGS)
        side = max(1, round(math.sqrt(self.patch / 2**halvings * height * width)))
        return int(min(side, height, width))

    def _better(
        self, model: nn.Module, y: Tensor, best: Tensor, reached: Tensor, tried: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keep what was tried where it raises the margin."""
        tried = tried if self.bounds is None else tried.clamp(*self.bounds)
        value = margin(model(tried), y)
        better = value > reached
        return torch.where(better.view(-1, 1, 1, 1), tried, best), torch.where(better, value, reached)
