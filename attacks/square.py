"""Square attack: random search with square patches; needs no gradients.

Source: Andriushchenko, Croce, Flammarion and Hein, *Square attack: a query-efficient black-box adversarial attack via
random search*, 2020: algorithm 1, with algorithm 2 for the Linf and algorithm 3 for the L2 ball; Croce and Hein, *Mind
the box: l1-APGD for sparse adversarial attacks on image classifiers*, 2021, for the L1 ball.
"""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from .base import Attack, named
from .confirmed import made_in, once_a_pass, once_a_run
from .cost import LOOK, Passes
from .engine import searched
from .geometry import BALLS
from .inputs import Bounds
from .losses import misclassified
from .passes import logits_of
from .patches import MOVES
from .precision import Precision
from .random_search import RandomSearch, Rules
from .ranges import check_ball

# Iterations (of 10,000) after which the share of the image that a patch covers is halved again.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@named("square")
class Square(Attack):
    """Random search with square patches on the margin; needs no gradients.

    What a patch is and where it lies is the same for all examples and follows `seed` alone, so that results do not
    depend on the batch. An example is left alone once it is misclassified.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    queries : int, >= 1
        Patches tried on an example at most, each a forward pass, after the first points.
    norm : {"linf", "l2", "l1"}
    patch : float in (0, 1], optional
        Share of the image that the first patches cover. Default: 0.8 in the Linf and the L1 ball, 0.1 in the L2 ball.
    rescale : bool
        Compress the schedule by which patches shrink, which is for 10,000 queries, into `queries`; else patches are
        after so many queries as large as they would be after as many of 10,000 (as in AutoAttack).
    precision : {"float32", "bfloat16"}
        Of the queries. In bfloat16 (autocast), which can halve the time, what they
        find counts if the model itself misclassifies it in float32.
    seed : int
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range, or examples are not images (N, C, H, W).
    """

    needs_gradients = False

    effort: ClassVar[str | None] = "queries"

    def __init__(
        self,
        eps: float,
        queries: int = 5000,
        *,
        norm: Literal["linf", "l2", "l1"] = "linf",
        patch: float | None = None,
        rescale: bool = True,
        precision: Precision = "float32",
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        check_ball(eps, bounds, norm, queries=queries)
        patch = {"linf": 0.8, "l2": 0.1, "l1": 0.8}[norm] if patch is None else patch
        if not 0 < patch <= 1:
            msg = f"patch must lie in (0, 1], got {patch}"
            raise ValueError(msg)
        self.eps, self.queries, self.patch, self.rescale = eps, queries, patch, rescale
        self.seed, self.bounds = seed, bounds
        self.ball, self.norm, self.precision = BALLS[norm], norm, precision

    @property
    def passes(self) -> Passes:
        """A look at the image and at the first points, and one a query; in bfloat16 one at the end of the search."""
        return (2 + self.queries) * LOOK + once_a_run(self.precision)

    @property
    def most(self) -> Passes:
        """In bfloat16 a look more a query: no more if every point seems misclassified and is not."""
        return self.passes + once_a_pass(self.precision, 1 + self.queries)

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Search patch by patch."""
        found = x.clone()
        rows = (~misclassified(logits_of(model, x), y)).nonzero().squeeze(1)
        ends, (height, width) = x[rows], x.shape[2:]
        rules = Rules(
            self.eps, self.queries, lambda query: self._side(query, height, width), self.ball, self.seed, self.bounds
        )
        with torch.no_grad():
            passed, real = made_in(self.precision, model)
            searched(RandomSearch(passed, ends.clone(), y[rows], rules, MOVES[self.norm](), real), ends)
        found[rows] = ends
        return found

    def unfit(self, classes: int, shape: tuple[int, ...]) -> str | None:  # noqa: ARG002
        """Say whether the inputs are no images."""
        images = len(shape) == 3
        return None if images else f"the Square attack works on images (N, C, H, W), got inputs of shape {shape}"

    def _side(self, query: int, height: int, width: int) -> int:
        """Give the side of the square tried at a query, from 0."""
        elapsed = int(query / self.queries * 10_000) if self.rescale else query
        halvings = sum(elapsed > each for each in HALVINGS)
        side = max(1, round(math.sqrt(self.patch / 2**halvings * height * width)))
        return int(min(side, height, width))
