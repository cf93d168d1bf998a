"""How many test images are attacked: a number, or as many as it takes until the figures are known closely enough."""

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag
from pydantic_core import PydanticCustomError

from lrbench.strict import Count, Strict

FIRST = 200
"""Images before the first look at whether they are enough."""

GROWTH = 1.25
"""Factor from one look to the next: at most a fifth of the images are attacked without need, in a few dozen looks."""

_POINTS = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?(?:points?|%)")


def _points(value: Any) -> float:  # noqa: ANN401
    """Read "1 point", "0.5 points", or a number of points."""
    if isinstance(value, str) and (found := _POINTS.fullmatch(value.strip())):
        value = float(found[1])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 50:
        msg = "should be a number of points from 0.01 to 50, such as `1 point`"
        raise PydanticCustomError("points", msg)
    return float(value)


class Until(Strict):
    """As many images as it takes, in a fixed random order, until intervals reach no further than this to either side.

    `until` is half the width of a 95 % interval, in points. `of: accuracy` is of each model's robust accuracy in the
    worst case over attacks, at every radius: each model is attacked until its own are known so closely. `of:
    difference` is of its difference from that of the suite's first model. At `most` so many images are attacked, by
    default all that there are.
    """

    until: Annotated[float, BeforeValidator(_points)]
    of: Literal["accuracy", "difference"] = "accuracy"
    most: Count | None = None


def _kind(value: Any) -> str:  # noqa: ANN401
    return "[until]" if isinstance(value, dict | Until) else "[number]"


Samples = Annotated[
    Annotated[Count, Tag("[number]")] | Annotated[Until, Tag("[until]")],
    Discriminator(_kind),
]


def looks(most: int, batch_size: int, first: int = FIRST) -> list[int]:
    """Give the numbers of images after which it is looked whether they are enough, in whole batches, up to `most`."""
    found: list[int] = []
    wanted = float(max(first, FIRST))
    while not found or found[-1] < most:
        count = max(math.ceil(wanted / batch_size), found[-1] // batch_size + 1 if found else 1) * batch_size
        found.append(min(count, most))
        wanted = max(wanted, count) * GROWTH
    return found
