"""How often chance gives p < 0.05: a small part of `benchmarks/calibration.py`, whose figures are in the docs."""

import pytest
from scipy.stats import binom

from benchmarks.calibration import World, chance_of, significant

BOARDS = 500


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("scatter", [0.0, 0.05, 0.15])
def test_no_difference_is_significant_in_3_to_7_per_cent(seeds, scatter):
    sure, holds = significant(World(seeds, 200, scatter, "shared"), 0.5, 0.5, BOARDS, seed=0)
    # Of shares that are at the ends of what is promised, one board in a thousand draws beyond these.
    assert binom.ppf(0.001, BOARDS, 0.03) <= BOARDS * sure <= binom.ppf(0.999, BOARDS, 0.07)
    assert holds == pytest.approx(1 - sure)


def test_one_seed_is_calibrated_for_its_own_training_alone():
    alone, _ = significant(World(1, 200, 0.0, "shared"), 0.5, 0.5, BOARDS, seed=0)
    assert binom.ppf(0.001, BOARDS, 0.03) <= BOARDS * alone <= binom.ppf(0.999, BOARDS, 0.07)
    others, _ = significant(World(1, 200, 0.15, "shared"), 0.5, 0.5, BOARDS, seed=0)
    assert others > 0.5


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_small_differences_are_held_where_hardly_an_image_is_discordant(seeds):
    _, holds = significant(World(seeds, 200, 0.0, "shared"), 0.012, 0.002, BOARDS, seed=0)
    assert BOARDS * holds >= binom.ppf(0.001, BOARDS, 0.95)


@pytest.mark.turns("structure")
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("scatter", [0.0, 0.05])
@pytest.mark.parametrize("structure", ["independent", "mostly own"])
def test_small_p_are_as_rare_as_they_say(seeds, scatter, structure):
    """Two seeds often have the same mean by chance, which is no reason to be sure."""
    boards = 1000
    levels = (0.05 / 8, 0.05 / 20, 1e-4)
    for level, share in zip(
        levels, chance_of(levels, World(seeds, 200, scatter, structure), 0.5, boards, 0), strict=True
    ):
        assert boards * share <= binom.ppf(0.999, boards, 1.5 * level)
