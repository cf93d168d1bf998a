"""Intervals that hold at every number of images at once, so that whoever looks may stop when they are narrow enough.

A confidence sequence (Darling and Robbins, 1967): with a chance of 95 % the true figure lies in all of the intervals,
those of every number of images. So it lies in the one at which somebody stopped, whatever made them stop.

Each is what a gambler leaves over. Against every value of the figure, somebody bets that the true one is larger, and
somebody that it is smaller, image by image, at odds that are fair if it is that value. Fair bets multiply a stake by 40
at any time with a chance of at most 1 / 40 (Ville, 1939). A value is left out where one of the two has done so.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lrbench.statistics.proportion import wilson

LEVEL = 0.05
BEYOND = math.log(2 / LEVEL)
"""Logarithm of what a stake of 1 must have become; each of the two sides has half of the level."""

EDGE_STAKE, EDGE = 0.2, 0.05
"""Part of the stake that is on a share close to 0 or 1, and how much closer than the value it is: a network that an
attack fools on all images, or on none, is known after fewer of them."""

LARGEST_BET = 0.5
"""Of the stake, on a difference; more could be lost at once."""

HALVINGS = 50


@dataclass(frozen=True)
class Stopping:
    """Looking at one image after the other until an interval is narrow enough, or there are no more.

    Attributes
    ----------
    until : float in (0, 0.5]
        Half of the interval's width, as a share. What is bet on is chosen for it; the interval holds anywhere.
    most : int
        Images that there are.
    """

    until: float
    most: int

    def __str__(self) -> str:
        """Write it as tables hold it, beside each interval: `named` reads it."""
        return f"sequence until {self.until!r} of {self.most}"

    @classmethod
    def named(cls, text: str) -> "Stopping":
        """Read what `str` gave.

        Raises
        ------
        ValueError
            If it is nothing of the kind.
        """
        found = re.fullmatch(r"sequence until (\d\.\d{1,20}(?:e-\d{1,2})?) of (\d{1,10})", text)
        if found is None or not 0 < float(found[1]) <= 0.5 or int(found[2]) < 1:
            msg = f"{text!r:.60} names no interval"
            raise ValueError(msg)
        return cls(float(found[1]), int(found[2]))

    def narrow(self, interval: tuple[float, float]) -> bool:
        """Whether an interval is as narrow as wanted."""
        return (interval[1] - interval[0]) / 2 <= self.until + 1e-9

    def proportion(self, share: float, n: int) -> tuple[float, float]:
        """Give the 95 % interval of a proportion.

        A value p is held against p + w and p - w, w being what is wanted, or as much as `most` images can show: Wald's
        test of one against the other (1945), inverted. It holds for the mean of any numbers in [0, 1], such as shares
        of trainings that withstand an attack on an image: of all numbers with one mean, 0 and 1 make stakes grow most.

        Parameters
        ----------
        share : float in [0, 1]
        n : int, >= 1
            Independent trials.

        Raises
        ------
        ValueError
            If the share is not in [0, 1] or n below 1.
        """
        if not 0 <= share <= 1 or n < 1:
            msg = f"expected a proportion in [0, 1] and n >= 1, got {share} and {n}"
            raise ValueError(msg)
        return self._low(share, n), 1.0 - self._low(1.0 - share, n)

    def _low(self, share: float, n: int) -> float:
        if share == 0:
            return 0.0
        return _boundary(lambda value: float(self.stake(share, n, value)), 0.0, share)

    def stake(self, share: np.ndarray | float, n: np.ndarray | int, value: float) -> np.ndarray:
        """Logarithm of what 1 has become that was put on a proportion above `value`, in (0, 1].

        Falls as `value` grows, and is at most 0 where that is the share.
        """
        hits, misses = np.multiply(share, n), np.multiply(1.0 - np.asarray(share), n)

        def ratio(other: float) -> np.ndarray:
            found: np.ndarray = _gained(hits, other, value) + _gained(misses, 1.0 - other, 1.0 - value)
            return found

        reached = math.sqrt(2 * BEYOND * value * (1.0 - value) / self.most)
        near, edge = min(value + max(self.until, reached), 1.0), 1.0 - EDGE * (1.0 - value)
        total: np.ndarray = np.logaddexp(math.log1p(-EDGE_STAKE) + ratio(near), math.log(EDGE_STAKE) + ratio(edge))
        return total

    def difference(self, more: float, less: float, n: int) -> tuple[float, float]:
        """Give the 95 % interval of the first proportion minus the second, of paired outcomes.

        Every value is bet against with several parts of the stake, since nobody knows how many pairs will be
        discordant (after Waudby-Smith and Ramdas, *Estimating means of bounded random variables by betting*, 2024).
        The counts may be means over trainings of each model: geometric means of what bets give are at most their means.

        Parameters
        ----------
        more, less : float, >= 0
            Pairs of which only the first, or only the second, is a success.
        n : int, >= 1
            Pairs of all kinds.
        """
        return self._low_difference(more, less, n), -self._low_difference(less, more, n)

    def _low_difference(self, more: float, less: float, n: int) -> float:
        return _boundary(lambda value: float(self.stake_on_difference(more, less, n, value)), -1.0, (more - less) / n)

    def stake_on_difference(
        self, more: np.ndarray | float, less: np.ndarray | float, n: np.ndarray | int, value: float
    ) -> np.ndarray:
        """Logarithm of what 1 has become that was put on a difference above `value`; falls as that grows."""
        more, less, rest = (np.asarray(each)[..., None] for each in (more, less, np.subtract(n, np.add(more, less))))
        gained = _gained(more, 1.0 + self._bets * (1.0 - value)) + _gained(less, 1.0 - self._bets * (1.0 + value))
        gained = gained + _gained(rest, 1.0 - self._bets * value)
        total: np.ndarray = np.logaddexp.reduce(gained, axis=-1) - math.log(len(self._bets))
        return total

    @cached_property
    def _bets(self) -> np.ndarray:
        """Parts of the stake that are best where all, a half, a quarter, ... of the pairs are discordant."""
        found: list[float] = []
        discordant = 1.0
        while not found or found[-1] < LARGEST_BET:
            wanted = max(self.until, math.sqrt(2 * BEYOND * discordant / self.most))
            found.append(min(wanted / discordant, LARGEST_BET))
            discordant /= 2
        return np.array(found)

    def p_of_difference(self, more: float, less: float, n: int) -> float:
        """Give the two-sided p that the two proportions are equal, which holds whenever it is looked at.

        At most 0.05 exactly where `difference` leaves out 0.
        """
        largest = max(self.stake_on_difference(more, less, n, 0.0), self.stake_on_difference(less, more, n, 0.0))
        return float(min(1.0, 2 * math.exp(-largest)))


def interval_of(share: float, n: int, named: str = "") -> tuple[float, float]:
    """Give the 95 % interval of a proportion: Wilson's, or that of the sequence that is named.

    Raises
    ------
    ValueError
        As `wilson`, or if nothing is called so.
    """
    return Stopping.named(named).proportion(share, n) if named else wilson(share, n)


def _gained(times: np.ndarray, after: np.ndarray | float, before: float = 1.0) -> np.ndarray:
    """Logarithm of what so many images make of 1, each of which makes `after` of `before`; of none it stays 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(after) - math.log(before) if before > 0 else -np.inf
        return np.where(times > 0, times * logarithm, 0.0)


def _boundary(stake: Callable[[float], float], low: float, high: float) -> float:
    """Give where a stake that falls between two values becomes too small to leave a value out, by bisection."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if stake(middle) >= BEYOND else (low, middle)
    return low
