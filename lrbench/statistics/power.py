"""Which differences a comparison would find, and what it takes to find one."""

import math
from numbers import Integral, Real

import numpy as np
from scipy import special

from lrbench.statistics.difference import LEVEL, Components, at_least

POWER = 0.8
MOST_IMAGES = 10_000_000
POINTS = 512
MOST_COUNTED = 2**53
LARGEST = 4
"""No variance of differences between -1 and 1 is larger, estimated of however few seeds and images."""
NEVER = 1e-15
"""Share of discordant images that is none."""


def power(difference: float, seeds: int, images: int, components: Components, level: float = LEVEL) -> float:
    """Chance that `difference_of` gives p < `level` if a difference of this size is there.

    With one seed that of McNemar's test (Connor, *Biometrics* 43, 1987), for the two trainings at hand; a normal
    approximation, too high where few images are discordant and the level is small: with 5 of 100, all in one direction,
    at 0.002 it is 0.19 instead of 0.03.
    With several it is the mean over the distribution of MS_seeds, which is the noncentral t wherever seeds make up all
    of the error; outcomes' means are taken as normal.

    Parameters
    ----------
    difference : float in [-1, 1]
    seeds, images : int, from 1 to 2^53
    components : Components
        Variances, each from 0 to 4; `seeds` None counts as 0.
    level : float in (0, 1)
        That of one test: where p are adjusted, 0.05 over the number of differences that are not found either.

    Raises
    ------
    ValueError
        If an argument is not what is said here.
    """
    level = _share("level", level)
    difference, seeds, images, components = _required(difference, seeds, images, components)
    if seeds == 1:
        discordant = max(components.images + components.rest + (components.seeds or 0.0), abs(difference))
        if discordant < NEVER:
            return 0.0
        spread = math.sqrt(max(discordant - difference**2, 1e-12 * discordant) / images)
        reach = -special.ndtri(level / 2) * math.sqrt(discordant / images)
        return _beyond(difference, np.array([reach]), spread)
    count = seeds * images
    of_seeds = components.rest / count + (components.seeds or 0.0) / seeds
    of_images = components.images / images
    # Quantiles of MS_seeds over its expectation.
    probabilities = (np.arange(POINTS) + 0.5) / POINTS
    drawn = of_seeds * 2 * special.gammaincinv((seeds - 1) / 2, probabilities) / (seeds - 1)
    drawn, counted = (
        part / count for part in at_least(drawn * count, seeds * components.images, components.rest, images)
    )
    # The absolute value, since SciPy's quantile of the smallest levels is infinite with the wrong sign.
    by_seeds, by_images = (abs(special.stdtrit(df, level / 2)) for df in (seeds - 1, max(images - 1, 1)))
    reach = (drawn * by_seeds + counted * by_images) / np.sqrt(drawn + counted)
    return _beyond(difference, reach, math.sqrt(max(of_seeds + of_images, 2 / (seeds * images**2))))


def _share(name: str, value: float) -> float:
    """Give a number that has to lie in (0, 1), of whatever type, as a float."""
    if not isinstance(value, Real) or not 0 < value < 1:
        msg = f"{name} must be in (0, 1), got {value!r}"
        raise ValueError(msg)
    return float(value)


def _required(difference: float, seeds: int, images: int, components: Components) -> tuple[float, int, int, Components]:
    """Give the arguments in Python's own types, in which nothing overflows."""
    if not isinstance(difference, Real) or not -1 <= difference <= 1:
        msg = f"difference must be in [-1, 1], got {difference!r}"
        raise ValueError(msg)
    for name, count in (("seeds", seeds), ("images", images)):
        if not isinstance(count, Integral) or not 1 <= count <= MOST_COUNTED:
            msg = f"{name} must be a number from 1 on, got {count!r}"
            raise ValueError(msg)
    parts = [getattr(components, name, math.nan) for name in ("seeds", "images", "rest")]
    parts[0] = 0.0 if parts[0] is None else parts[0]
    if not all(isinstance(each, Real) and 0 <= each <= LARGEST for each in parts):
        msg = f"components must be variances, from 0 to {LARGEST}, got {components}"
        raise ValueError(msg)
    return float(difference), int(seeds), int(images), Components(*map(float, parts))


def _beyond(difference: float, reach: np.ndarray, spread: float) -> float:
    return float(np.mean(special.ndtr((difference - reach) / spread) + special.ndtr((-difference - reach) / spread)))


def largest_difference(seeds: int, components: Components) -> float:
    """Give the largest difference that there can be: the share of outcomes that differ; of one seed it may be all."""
    return min(1.0, (components.seeds or 0.0) + components.images + components.rest) if seeds > 1 else 1.0


def detectable(
    seeds: int, images: int, components: Components, wanted: float = POWER, level: float = LEVEL
) -> float | None:
    """Smallest difference, in (0, 1], that is found with a power; None if not even the largest that there can be is.

    No difference is larger than the share of outcomes that differ. With several seeds the components say what that is;
    with one it grows with the difference.

    Parameters
    ----------
    seeds, images, components
        As in `power`.
    wanted, level : float in (0, 1)
        The chance, and that of a p below `level` where nothing is.

    Raises
    ------
    ValueError
        As of `power`, or if `wanted` is not in (0, 1).
    """
    wanted = _share("wanted", wanted)
    _, seeds, images, components = _required(0.0, seeds, images, components)
    low, high = 0.0, largest_difference(seeds, components)
    if power(high, seeds, images, components, level) < wanted:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, seeds, images, components, level) >= wanted else (middle, high)
    return high


def images_needed(
    difference: float, seeds: int, components: Components, wanted: float = POWER, level: float = LEVEL
) -> int | None:
    """Fewest images with which a difference is found with a power; None if 10,000,000 are not enough.

    Parameters
    ----------
    difference : float in [-1, 1]
    seeds, components, wanted, level
        As in `detectable`.

    Raises
    ------
    ValueError
        As of `power`, or if `wanted` is not in (0, 1).
    """
    wanted = _share("wanted", wanted)
    low, high = 1, 2
    while power(difference, seeds, high, components, level) < wanted:
        if high >= MOST_IMAGES:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, seeds, middle, components, level) >= wanted else (middle, high)
    return high if high <= MOST_IMAGES else None
