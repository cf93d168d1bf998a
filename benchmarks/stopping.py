"""How often intervals hold the true figure where images are attacked until they are narrow, and what stopping saves.

    python -m benchmarks.stopping [--runs 2000] [--images 10000] [--seed 0]

Every run has its own test set of `--images` independent images. Looks are those of a suite with `samples: {until: ...}`
and batches of 128. Where `confseq` (PyPI) is installed, its beta-binomial mixture is stopped the same way.
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from benchmarks.calibration import World
from benchmarks.machine import describe
from lrbench.statistics import Stopping, difference_of, discordant, wilson
from lrbench.statistics.proportion import Z_95
from lrbench.statistics.sequence import BEYOND
from lrbench.suite import looks

BATCH = 128
BLOCK = 100
"""Runs whose every image is looked at at once."""

SHARES = (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.9)
POINTS = (1.0, 2.0, 5.0)
PAIRS = ((0.02, 0.0), (0.2, 0.0), (0.2, 0.05), (0.5, 0.0), (0.5, 0.1))
"""Share of discordant images, and the difference."""

Interval = tuple[float, float]
Method = Callable[[float, int], Interval]


@dataclass(frozen=True)
class Ended:
    """Runs that were stopped: the number of images of each, and whether its interval there holds the true share."""

    images: np.ndarray
    holds: np.ndarray


def drawn(share: float, runs: int, images: int, seed: int) -> np.ndarray:
    """Which images are withstood, (runs, images) bool."""
    return np.random.default_rng([seed, round(1000 * share)]).random((runs, images)) < share


def stopped(outcomes: np.ndarray, share: float, stopping: Stopping, method: Method) -> Ended:
    """Stop each run at the first look at which an interval is narrow, else after all images."""
    runs, most = outcomes.shape
    counts = outcomes.cumsum(axis=1, dtype=np.int32)
    images, holds = np.zeros(runs, int), np.zeros(runs, bool)
    known = cache(lambda count, n: method(count / n, n))
    for look in looks(most, BATCH):
        for run in np.flatnonzero(images == 0):
            low, high = known(int(counts[run, look - 1]), look)
            if look == most or stopping.narrow((low, high)):
                images[run], holds[run] = look, low <= share <= high
    return Ended(images, holds)


def always(outcomes: np.ndarray, share: float, stopping: Stopping) -> float:
    """Share of runs whose interval holds the true share after every single image."""
    n = np.arange(1, outcomes.shape[1] + 1)
    found = []
    for begin in range(0, len(outcomes), BLOCK):
        shares = outcomes[begin : begin + BLOCK].cumsum(axis=1) / n
        above = stopping.stake(shares, n, share) if share > 0 else np.zeros(1)
        below = stopping.stake(1 - shares, n, 1 - share) if share < 1 else np.zeros(1)
        found.append((np.maximum(above, below).max(axis=-1) < BEYOND) & np.ones(len(shares), bool))
    return float(np.concatenate(found).mean())


def paired(discordance: float, difference: float, runs: int, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which images only the first of two models withstands, and which only the second, (runs, images) bool each."""
    at = np.random.default_rng([seed, round(1000 * discordance), round(1000 * difference)]).random((runs, images))
    return at < (discordance + difference) / 2, at > 1 - (discordance - difference) / 2


def always_paired(more: np.ndarray, less: np.ndarray, difference: float, stopping: Stopping) -> float:
    """Share of runs whose interval holds the true difference after every single image."""
    n = np.arange(1, more.shape[1] + 1)
    found = []
    for begin in range(0, len(more), BLOCK):
        counts = [each[begin : begin + BLOCK].cumsum(axis=1) for each in (more, less)]
        above = stopping.stake_on_difference(*counts, n, difference)
        below = stopping.stake_on_difference(*counts[::-1], n, -difference)
        found.append(np.maximum(above, below).max(axis=1) < BEYOND)
    return float(np.concatenate(found).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.stdout.write(f"{describe()}\n{given.runs} runs a row, {given.images:,} images, seed {given.seed}\n")
    for points in POINTS:
        _shares(points, given)
    _differences(given)
    _trainings(given)


def _shares(points: float, given: argparse.Namespace) -> None:
    stopping = Stopping(points / 100, given.images)
    planned = math.ceil(Z_95**2 / 4 / stopping.until**2)
    sys.stdout.write(
        f"\nUntil {points:g} points; {planned:,} images are planned where nothing is known of the share\n\n"
        "| share | held when stopped % | held after every image % | images, mean | all / mean | planned / mean | "
        "Wilson's, stopped the same way: held %, images | confseq's: held %, images |\n"
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    )
    for share in SHARES:
        outcomes = drawn(share, given.runs, given.images, given.seed)
        own = stopped(outcomes, share, stopping, stopping.proportion)
        mean = own.images.mean()
        others = [stopped(outcomes, share, stopping, wilson)]
        if mixture := _confseq(round(mean)):
            others.append(stopped(outcomes, share, stopping, mixture))
        cells = [f"{100 * each.holds.mean():.2f}, {each.images.mean():,.0f}" for each in others]
        sys.stdout.write(
            f"| {100 * share:g} | {100 * own.holds.mean():.2f} | {100 * always(outcomes, share, stopping):.2f} | "
            f"{mean:,.0f} | {given.images / mean:.2f} | {planned / mean:.2f} | " + " | ".join(cells) + " |\n"
        )
        sys.stdout.flush()


def _confseq(tuned: int) -> Method | None:
    """Give the intervals of `confseq`, tuned for a number of images; None where it is not installed."""
    try:
        from confseq.boundaries import bernoulli_confidence_interval  # noqa: PLC0415
    except ImportError:
        return None
    return lambda share, n: bernoulli_confidence_interval(round(share * n), n, 0.05, tuned)


def _differences(given: argparse.Namespace) -> None:
    sys.stdout.write(
        "\nDifferences of two models\n\n"
        "| until, points | discordant % | difference | held when stopped % | held after every image % | images, mean | "
        "all / mean | p < 0.05 when stopped % |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    )
    for points, (discordance, difference) in product(POINTS[1:], PAIRS):
        stopping = Stopping(points / 100, given.images)
        more, less = paired(discordance, difference, given.runs, given.images, given.seed)
        images, holds, sure = _stopped_pairs(more, less, difference, stopping)
        sys.stdout.write(
            f"| {points:g} | {100 * discordance:g} | {100 * difference:g} | {100 * holds.mean():.2f} | "
            f"{100 * always_paired(more, less, difference, stopping):.2f} | {images.mean():,.0f} | "
            f"{given.images / images.mean():.2f} | {100 * sure.mean():.2f} |\n"
        )
        sys.stdout.flush()


def _stopped_pairs(
    more: np.ndarray, less: np.ndarray, difference: float, stopping: Stopping
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = [each.cumsum(axis=1, dtype=np.int32) for each in (more, less)]
    known = cache(stopping.difference)
    images, holds, sure = (np.zeros(len(more), kind) for kind in (int, bool, bool))
    for look in looks(stopping.most, BATCH):
        # An interval for a given number of images is narrower, and takes less time to find.
        shares = [each[:, look - 1] / look for each in counts]
        given = Z_95 * np.sqrt((shares[0] + shares[1] - (shares[0] - shares[1]) ** 2) / look)
        for run in np.flatnonzero((images == 0) & ((given <= stopping.until) | (look == stopping.most))):
            here = [int(each[run, look - 1]) for each in counts]
            low, high = known(*here, look)
            if look == stopping.most or stopping.narrow((low, high)):
                images[run], holds[run] = look, low <= difference <= high
                sure[run] = stopping.p_of_difference(*here, look) < 0.05
    return images, holds, sure


def _trainings(given: argparse.Namespace) -> None:
    runs, images = given.runs // 10, min(given.images, 4000)
    sys.stdout.write(
        "\nDifferences of two models with three trainings each, none in truth, until 5 points of these trainings, "
        f"{runs} runs: % whose interval holds it; images, mean\n\n| scatter, points | wrong % | held % | images |\n"
        "| ---: | ---: | ---: | ---: |\n"
    )
    stopping = Stopping(0.05, images)
    for scatter, wrong in product((0.0, 0.05, 0.15), (0.5, 0.3)):
        world = World(3, images, scatter, "shared")
        rng = np.random.default_rng([given.seed, round(100 * scatter), round(100 * wrong)])
        ended = [_stopped_trainings(world.outcomes(wrong, wrong, rng), stopping) for _ in range(runs)]
        held, mean = (np.mean([each[index] for each in ended]) for index in (0, 1))
        sys.stdout.write(f"| {100 * scatter:g} | {100 * wrong:g} | {100 * held:.1f} | {mean:,.0f} |\n")
        sys.stdout.flush()


def _stopped_trainings(sides: tuple[np.ndarray, np.ndarray], stopping: Stopping) -> tuple[bool, int]:
    for look in looks(stopping.most, BATCH):
        first, second = (each[:, :look] for each in sides)
        if look == stopping.most or stopping.narrow(stopping.difference(*discordant(first, second), look)):
            break
    low, high = difference_of(first, second, stopping).interval
    return low <= 0 <= high, look


if __name__ == "__main__":
    main()
