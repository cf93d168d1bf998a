"""Square attack: random search with square patches; needs no gradients.

Source: Andriushchenko, Croce, Flammarion and Hein, *Square attack: a query-efficient black-box adversarial attack via
random search*, 2020, algorithm 1 for the Linf ball.
"""

import torch
from torch import Tensor, nn

from .base import Attack, Bounds, check_ball
from .losses import margin

# Iterations (of 10,000) after which the share of the image that a patch covers is halved again.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


class Square(Attack):
    """Square attack in the Linf ball, on the margin.

    What a patch is and where it lies is the same for all examples and follows `seed` alone, so that results do not
    depend on the batch. An example is left alone once it is misclassified.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    queries : int, >= 1
        Forward passes an example at most.
    patch : float in (0, 1]
        Share of the image that the first patches cover.
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
        patch: float = 0.8,
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        check_ball(eps, bounds, {"queries": queries})
        if not 0 < patch <= 1:
            msg = f"patch must lie in (0, 1], got {patch}"
            raise ValueError(msg)
        self.eps, self.queries, self.patch, self.seed, self.bounds = eps, queries, patch, seed, bounds

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Search patch by patch."""
        if x.ndim != 4:
            msg = f"the Square attack works on images (N, C, H, W), got shape {tuple(x.shape)}"
            raise ValueError(msg)
        generator = torch.Generator().manual_seed(self.seed)
        channels, width = x.shape[1], x.shape[3]
        stripes = self._signs(generator, (1, channels, 1, width)).to(x)
        with torch.no_grad():
            reached = margin(model(x), y)
            best, reached = self._better(model, x, y, x, reached, x + self.eps * stripes)
            for query in range(1, self.queries):
                change = self._patch(query, generator, x)
                standing = (reached <= 0).nonzero().squeeze(1)
                if not len(standing):
                    break
                rows = best[standing]
                best[standing], reached[standing] = self._better(
                    model, x[standing], y[standing], rows, reached[standing], rows + change
                )
        return best

    def _patch(self, query: int, generator: torch.Generator, x: Tensor) -> Tensor:
        """Make a square of 2 eps with a random sign in each channel; zero elsewhere."""
        _, channels, height, width = x.shape
        halvings = sum(query / self.queries * 10_000 > place for place in HALVINGS)
        side = max(1, round((self.patch / 2**halvings * height * width) ** 0.5))
        side = min(side, height, width)
        top = int(torch.randint(height - side + 1, (), generator=generator))
        left = int(torch.randint(width - side + 1, (), generator=generator))
        change = torch.zeros(channels, height, width)
        change[:, top : top + side, left : left + side] = 2 * self.eps * self._signs(generator, (channels, 1, 1))
        return change.to(x)

    def _better(
        self, model: nn.Module, x: Tensor, y: Tensor, best: Tensor, reached: Tensor, tried: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keep what was tried where it raises the margin."""
        tried = torch.clamp(tried, x - self.eps, x + self.eps)
        tried = tried if self.bounds is None else tried.clamp(*self.bounds)
        value = margin(model(tried), y)
        better = value > reached
        return torch.where(better.view(-1, 1, 1, 1), tried, best), torch.where(better, value, reached)

    @staticmethod
    def _signs(generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return 2.0 * torch.randint(2, shape, generator=generator) - 1
