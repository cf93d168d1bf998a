"""The difference of two models on the same images, over one training of each or several: one interval and one p."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from lrbench.statistics import tango
from lrbench.statistics.sequence import Stopping

LEVEL = 0.05

LEAST_OF_SEEDS = 0.01
"""Of what else makes the difference vary, the part that is always put down to seeds, whose agreement may be chance."""


@dataclass(frozen=True)
class Components:
    """What makes the difference of two outcomes vary, as variances; outcomes are 0 or 1.

    Attributes
    ----------
    seeds : float or None
        Of the difference between trainings, on endlessly many images. None where a single one says nothing of it.
    images : float
        Of the difference between images, in the mean over endlessly many trainings; of one training the share of
        discordant images.
    rest : float
        What neither explains: the same image falls otherwise under another training. 0 for one training.
    """

    seeds: float | None
    images: float
    rest: float


@dataclass(frozen=True)
class Estimate:
    """A difference of shares, in [-1, 1], with its uncertainty.

    Attributes
    ----------
    difference : float
    interval : (float, float)
        95 %.
    p : float
        Two-sided, that there is no difference. Below 0.05 exactly where the interval does not hold 0.
    seeds, images : int
    components : Components
    stopping : Stopping, optional
        How the number of images was found, where interval and p allow for that.
    """

    difference: float
    interval: tuple[float, float]
    p: float
    seeds: int
    images: int
    components: Components
    stopping: Stopping | None = None


def difference_of(first: np.ndarray, second: np.ndarray, stopping: Stopping | None = None) -> Estimate:
    """Estimate mean(first) - mean(second) of two models' outcomes on the same images.

    With one seed it speaks of other images under these two trainings (`tango`); with several, of other images and
    other trainings: seeds and images are crossed random effects, and the variance of the mean has two parts,

        MS_seeds / (S N),  with S - 1 degrees of freedom, and
        max(MS_images - MS_rest, 0) / (S N),  with N - 1,

    where MS are the mean squares of the two-way layout of the differences (Searle, Casella and McCulloch, *Variance
    components*, 1992, chapter 4). The critical value is the mean of the two t quantiles, weighted by these parts
    (Cochran and Cox, *Experimental designs*, 1957), and p is the level at which it equals the statistic.
    Few seeds may agree by chance, above all where a mean can only be one of few numbers: MS_seeds counts as at least
    1 % of the larger of the other two. And the variance is at least 2 / (S N^2), that of one more image in each
    direction (Bonett and Price, 2012), so that no discordant image is not perfect knowledge; what is missing to it goes
    to seeds and images by how much the same image differs over seeds, MS_rest, and how much images do.

    Where somebody looked at the figures to find how many images are enough, with one seed the interval and the p are
    those of a confidence sequence, and with several the wider of that, which speaks of these trainings, and the above.

    Parameters
    ----------
    first, second : ndarray, (S, N) bool
        Row s of both is of trainings that belong together, such as those with the same seed; column i is image i.
    stopping : Stopping, optional
        How N was found. Default: it was given.

    Raises
    ------
    ValueError
        If the shapes differ, are not two-dimensional, or there are no seeds or no images.
    """
    if first.shape != second.shape or first.ndim != 2 or not first.size:
        msg = f"expected two arrays (seeds, images) of equal shape, got shapes {first.shape} and {second.shape}"
        raise ValueError(msg)
    found = _of_given_images(first.astype(float) - second.astype(float))
    return found if stopping is None else _at_any_time(found, *discordant(first, second), stopping)


def discordant(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Count the images that only the first model, or only the second, withstands, (S, N) bool each; mean over seeds."""
    return float((first & ~second).mean(axis=0).sum()), float((second & ~first).mean(axis=0).sum())


def on_the_same_images(
    first: Sequence[np.ndarray] | np.ndarray, second: Sequence[np.ndarray] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Stack what became of two models' images, a row a seed, of those that both have: the first ones of each.

    Images that are attacked until there are enough are kept in the order in which they were taken in, the same one for
    every model.
    """
    count = min(len(each) for each in (*first, *second))
    return np.stack([each[:count] for each in first]), np.stack([each[:count] for each in second])


def _at_any_time(found: Estimate, more: float, less: float, stopping: Stopping) -> Estimate:
    """Widen an estimate that presumes a given number of images."""
    (low, high), p = stopping.difference(more, less, found.images), stopping.p_of_difference(more, less, found.images)
    if found.seeds > 1:
        low, high, p = min(low, found.interval[0]), max(high, found.interval[1]), max(p, found.p)
    return replace(found, interval=(low, high), p=p, stopping=stopping)


def _of_given_images(difference: np.ndarray) -> Estimate:
    seeds, images = difference.shape
    if seeds == 1:
        more, less = int((difference > 0).sum()), int((difference < 0).sum())
        alone = Components(None, float((difference**2).mean()), 0.0)
        interval = tango.interval(more, less, images)
        return Estimate(float(difference.mean()), interval, tango.score_p(more, less), 1, images, alone)
    of_seeds, of_images, of_rest = mean_squares(difference)
    shared = max(of_images - of_rest, 0.0)
    counted, whole = at_least(of_seeds, shared, of_rest, images)
    error = Error(float(counted) / (seeds * images), float(whole) / (seeds * images), seeds - 1, max(images - 1, 1))
    mean = float(difference.mean())
    reach = error.half_width(LEVEL)
    components = Components(max(of_seeds - of_rest, 0.0) / images, shared / seeds, of_rest)
    interval = (max(mean - reach, -1.0), min(mean + reach, 1.0))
    return Estimate(mean, interval, error.p(mean), seeds, images, components)


def at_least(of_seeds: Any, shared: float, rest: float, images: int) -> tuple[Any, Any]:  # noqa: ANN401
    """Give the mean squares of seeds and of images as they count in `difference_of`.

    Parameters
    ----------
    of_seeds : float or ndarray
        Mean square of seeds.
    shared : float
        That of the images less `rest`, or 0.
    rest : float
        Mean square of what neither explains.
    images : int
    """
    counted = np.maximum(of_seeds, LEAST_OF_SEEDS * (rest + shared))
    missing = np.maximum(2 / images - counted - shared, 0.0)
    part = rest / (rest + shared) if rest else 0.0
    return counted + part * missing, shared + (1 - part) * missing


def mean_squares(difference: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, images and rest in a two-way layout, (S, N) float with S >= 2, without replication."""
    seeds, images = difference.shape
    mean = difference.mean()
    by_seed, by_image = difference.mean(axis=1) - mean, difference.mean(axis=0) - mean
    rest = difference - mean - by_seed[:, None] - by_image
    others = max(images - 1, 1)
    return (
        float(images * (by_seed**2).sum() / (seeds - 1)),
        float(seeds * (by_image**2).sum() / others),
        float((rest**2).sum() / ((seeds - 1) * others)),
    )


@dataclass(frozen=True)
class Error:
    """Squared standard error of a mean in its two parts, each with its degrees of freedom."""

    of_seeds: float
    of_images: float
    seeds_df: int
    images_df: int

    @property
    def total(self) -> float:
        """Squared standard error."""
        return self.of_seeds + self.of_images

    def critical(self, level: float) -> float:
        """Value that the statistic mean / standard error must exceed to be significant at a level (two-sided)."""
        by_seeds, by_images = (-special.stdtrit(df, level / 2) for df in (self.seeds_df, self.images_df))
        return float((self.of_seeds * by_seeds + self.of_images * by_images) / self.total)

    def half_width(self, level: float) -> float:
        """Half of the interval's width."""
        return self.critical(level) * math.sqrt(self.total)

    def p(self, mean: float) -> float:
        """Level at which a mean is just significant, by bisection of its logarithm; at least 1e-30."""
        statistic = abs(mean) / math.sqrt(self.total)
        low, high = -30.0, 0.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.critical(10**middle) < statistic else (middle, high)
        return float(10**high)
