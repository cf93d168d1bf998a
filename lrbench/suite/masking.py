"""What the checks for masked gradients are given."""

import math
from typing import Annotated

from pydantic import Field

from lrbench.strict import Count, Eps, Strict


class Masking(Strict):
    """Checks for masked gradients, and the verdict (default: on where a suite attacks).

    The checks attack `samples` images at `eps` (default: the middle one of the threat model's radii above 0) with
    attacks of their own: `steps` iterations, `queries` of random search, `draws` of noise, and `unbounded` images
    without a radius.
    """

    samples: Count = 100
    eps: Annotated[Eps, Field(gt=0)] | None = None
    steps: Count = 40
    queries: Count = 300
    draws: Count = 20
    unbounded: Count = 32


def widest(norm: str, space: str) -> float:
    """Give the largest radius to check at: the checks attack at twice as much, which pixels of [0, 1] have room for."""
    return 0.5 if (norm, space) == ("linf", "pixel") else math.inf
