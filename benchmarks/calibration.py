"""How often intervals hold the true difference, p < 0.05 comes of chance, and a claimed power is kept, by simulation.

    python -m benchmarks.calibration [--boards 2000] [--images 200] [--seed 0]

A network gets an image wrong where a normal variable exceeds a threshold. It is the sum of what makes the image hard
for every network, for every training of this model, of the training, and of nothing in particular. Two models of equal
expected robust accuracy have no true difference, whatever their trainings and the images came out as.
"""

import argparse
import sys
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from scipy import special
from scipy.optimize import brentq

from benchmarks.machine import describe
from lrbench.statistics import Components, detectable, difference_of
from lrbench.statistics.difference import mean_squares

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
WEIGHTS = WEIGHTS / WEIGHTS.sum()

STRUCTURES = {
    "independent": (0.0, 0.0),
    "shared": (0.6, 0.0),
    "shared and own": (0.5, 0.2),
    "mostly own": (0.3, 0.6),
}
"""Share of the variance within a training that is the image's for all networks, and for one model's networks."""

WRONG = (0.5, 0.3, 0.05, 0.02, 0.005)
SCATTERS = (0.0, 0.05, 0.15)
SEEDS = (1, 2, 3, 5)
FAMILIES = (8, 20)
"""Differences of a table: the least p of so many is held against 0.05 divided by their number."""


@dataclass(frozen=True)
class World:
    """What boards are drawn from: seeds, images, and how outcomes hang together."""

    seeds: int
    images: int
    scatter: float
    structure: str

    def outcomes(self, wrong: float, other: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Which images two models withstand, each (seeds, images) bool, at two expected shares of wrong ones."""
        shared, own = STRUCTURES[self.structure]
        hard = np.sqrt(shared) * rng.standard_normal(self.images)
        sides = []
        for share in (wrong, other):
            threshold, training = latent(share, self.scatter)
            image = hard + np.sqrt(own) * rng.standard_normal(self.images)
            chance = np.sqrt(1 - shared - own) * rng.standard_normal((self.seeds, self.images))
            sides.append(image + chance + training * rng.standard_normal((self.seeds, 1)) <= threshold)
        return sides[0], sides[1]

    def components(self, wrong: float, rng: np.random.Generator, boards: int = 300) -> Components:
        """Estimate the components of the difference of two models that are equally good, by many boards."""
        drawn = World(max(self.seeds, 2), self.images, self.scatter, self.structure)
        squares = []
        for _ in range(boards):
            first, second = drawn.outcomes(wrong, wrong, rng)
            squares.append(mean_squares(first.astype(float) - second.astype(float)))
        seeds, images, rest = np.mean(squares, axis=0)
        return Components(
            max(float(seeds - rest), 0.0) / drawn.images, max(float(images - rest), 0.0) / drawn.seeds, float(rest)
        )


@cache
def latent(wrong: float, scatter: float) -> tuple[float, float]:
    """Threshold, and deviation between trainings, that give an expected share of wrong images and its deviation."""

    def threshold(deviation: float) -> float:
        return float(-special.ndtri(wrong) * np.sqrt(1 + deviation**2))

    def reached(deviation: float) -> float:
        shares = special.ndtr(-threshold(deviation) + deviation * NODES)
        return float(np.sqrt(max(WEIGHTS @ shares**2 - (WEIGHTS @ shares) ** 2, 0.0)))

    deviation = 0.0 if not scatter else float(brentq(lambda tried: reached(tried) - scatter, 0.0, 30.0))
    return threshold(deviation), deviation


def significant(world: World, wrong: float, other: float, boards: int, seed: int) -> tuple[float, float]:
    """Share of boards with p < 0.05, and of those whose interval holds the true difference."""
    rng = np.random.default_rng([seed, *np.frombuffer(repr((world, wrong, other)).encode(), np.uint8)])
    found = [difference_of(*world.outcomes(wrong, other, rng)) for _ in range(boards)]
    sure = np.mean([each.p < 0.05 for each in found])
    holds = np.mean([each.interval[0] <= other - wrong <= each.interval[1] for each in found])
    return float(sure), float(holds)


def chance_of(levels: tuple[float, ...], world: World, wrong: float, boards: int, seed: int) -> list[float]:
    """Share of boards without a difference whose p is below each level, such as those that Holm's method asks for."""
    rng = np.random.default_rng([seed, *np.frombuffer(repr((world, wrong, levels)).encode(), np.uint8)])
    found = np.array([difference_of(*world.outcomes(wrong, wrong, rng)).p for _ in range(boards)])
    return [float(np.mean(found < level)) for level in levels]


def kept_power(world: World, wrong: float, boards: int, seed: int) -> tuple[float, float] | None:
    """Difference that is said to be found in 80 % of cases, and the share of boards that find it; None if none is."""
    components = world.components(wrong, np.random.default_rng(seed))
    difference = detectable(world.seeds, world.images, components)
    if difference is None or difference >= wrong:
        return None
    return difference, significant(world, wrong, wrong - difference, boards, seed)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=2000)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.stdout.write(f"{describe()}\n{given.boards} boards a cell, {given.images} images, seed {given.seed}\n\n")
    sys.stdout.write("No true difference: % of boards with p < 0.05, at scatters of " + _scatters() + "\n\n")
    sys.stdout.write("| seeds | wrong % | " + " | ".join(STRUCTURES) + " |\n| ---: | ---: |" + " --- |" * 4 + "\n")
    for seeds, wrong in product(SEEDS, WRONG):
        cells = []
        for structure in STRUCTURES:
            worlds = [World(seeds, given.images, scatter, structure) for scatter in SCATTERS]
            cells.append(
                " / ".join(
                    f"{100 * significant(world, wrong, wrong, given.boards, given.seed)[0]:.1f}"
                    for world in worlds
                    if world.scatter < np.sqrt(wrong * (1 - wrong))
                )
            )
        sys.stdout.write(f"| {seeds} | {100 * wrong:g} | " + " | ".join(cells) + " |\n")
        sys.stdout.flush()
    _small_levels(given.boards, given.images, given.seed)
    _two_valued(given.boards, given.seed)
    _small_differences(given.boards, given.images, given.seed)
    _power(given.boards, given.images, given.seed)


def _scatters() -> str:
    return " / ".join(f"{100 * scatter:g}" for scatter in SCATTERS) + " points, where such a scatter can be"


def _small_levels(boards: int, images: int, seed: int) -> None:
    levels = (*(0.05 / family for family in FAMILIES), 1e-4)
    listed = ", ".join(f"{100 * level:.3g}" for level in levels)
    sys.stdout.write(f"\nNo true difference, {3 * boards} boards: % with p below {listed} %\n\n")
    sys.stdout.write(
        "| seeds | wrong % | scatter | " + " | ".join(STRUCTURES) + " |\n| ---: | ---: | ---: |" + " --- |" * 4
    )
    sys.stdout.write("\n")
    for seeds, wrong, scatter in product(SEEDS, (0.5, 0.05), SCATTERS):
        if seeds == 1 and scatter:
            continue
        cells = []
        for structure in STRUCTURES:
            shares = chance_of(levels, World(seeds, images, scatter, structure), wrong, 3 * boards, seed)
            cells.append(" / ".join(f"{100 * share:.2f}" for share in shares))
        sys.stdout.write(f"| {seeds} | {100 * wrong:g} | {100 * scatter:g} | " + " | ".join(cells) + " |\n")
        sys.stdout.flush()


def two_valued(seeds: int, images: int, rng: np.random.Generator) -> np.ndarray:
    """Which images a model withstands, (seeds, images) bool, whose trainings end at 70 or 80 % by the toss of a coin.

    Such as LR-Layers that act with one seed and not with another.
    """
    hard, flipped = rng.random(images), rng.random((seeds, images)) < 0.01
    return np.stack([(hard < 0.7 + 0.1 * rng.integers(2)) ^ flipped[each] for each in range(seeds)])


def _two_valued(boards: int, seed: int) -> None:
    levels = (0.05, *(0.05 / family for family in FAMILIES))
    listed = ", ".join(f"{100 * level:.3g}" for level in levels)
    sys.stdout.write(
        f"\nNo true difference, trainings of two kinds, {3 * boards} boards: % with p below {listed} %\n\n"
    )
    sys.stdout.write("| seeds | 100 images | 500 images | 2000 images |\n| ---: | --- | --- | --- |\n")
    for seeds in SEEDS[1:]:
        cells = []
        for images in (100, 500, 2000):
            rng = np.random.default_rng([seed, seeds, images])
            # The same images are hard for both.
            drawn = (two_valued(2 * seeds, images, rng) for _ in range(3 * boards))
            p = np.array([difference_of(each[:seeds], each[seeds:]).p for each in drawn])
            cells.append(" / ".join(f"{100 * float(np.mean(p < level)):.2f}" for level in levels))
        sys.stdout.write(f"| {seeds} | " + " | ".join(cells) + " |\n")
        sys.stdout.flush()


def _small_differences(boards: int, images: int, seed: int) -> None:
    sys.stdout.write("\nA true difference, no scatter: % of boards whose interval holds it\n\n")
    sys.stdout.write("| seeds | wrong % | " + " | ".join(STRUCTURES) + " |\n| ---: | ---: |" + " ---: |" * 4 + "\n")
    for seeds, (wrong, other) in product(SEEDS, ((0.006, 0.001), (0.012, 0.002), (0.03, 0.01), (0.35, 0.3))):
        cells = [
            f"{100 * significant(World(seeds, images, 0.0, structure), wrong, other, boards, seed)[1]:.1f}"
            for structure in STRUCTURES
        ]
        sys.stdout.write(f"| {seeds} | {100 * wrong:g} and {100 * other:g} | " + " | ".join(cells) + " |\n")
        sys.stdout.flush()


def _power(boards: int, images: int, seed: int) -> None:
    sys.stdout.write(
        "\nThe difference said to be found in 80 % of cases, at 50 % wrong, and % of boards that find it\n\n"
    )
    sys.stdout.write("| seeds | scatter | images | " + " | ".join(STRUCTURES) + " |\n| ---: | ---: | ---: |")
    sys.stdout.write(" --- |" * 4 + "\n")
    for seeds, scatter, count in product(SEEDS, (0.0, 0.05), (images, 5 * images)):
        if seeds == 1 and scatter:
            continue
        cells = []
        for structure in STRUCTURES:
            kept = kept_power(World(seeds, count, scatter, structure), 0.5, boards, seed)
            cells.append("none" if kept is None else f"{100 * kept[0]:.1f} points: {100 * kept[1]:.1f}")
        sys.stdout.write(f"| {seeds} | {100 * scatter:g} | {count} | " + " | ".join(cells) + " |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
