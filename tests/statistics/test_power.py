import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.power import TTestPower

from benchmarks.calibration import World, kept_power
from lrbench.statistics import Components, detectable, difference_of, images_needed, power

MIXED = Components(0.0008, 0.05, 0.1)


@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
@pytest.mark.parametrize("difference", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("level", [0.05, 0.0125])
def test_where_seeds_make_the_error_it_is_that_of_the_t_test(seeds, difference, level):
    scatter = 0.05
    expected = TTestPower().power(difference / scatter, seeds, level)
    found = power(difference, seeds, 1_000_000, Components(scatter**2, 0.0, 0.0), level)
    assert found == pytest.approx(expected, abs=0.003)


def test_at_no_difference_it_is_the_level():
    assert power(0.0, 1, 500, Components(None, 0.3, 0.0)) == pytest.approx(0.05)
    assert power(0.0, 1, 500, Components(None, 0.3, 0.0), level=0.01) == pytest.approx(0.01)


@pytest.mark.parametrize(("discordant", "difference", "images"), [(0.5, 0.45, 20), (0.5, 0.35, 30), (0.3, 0.1, 100)])
def test_of_one_seed_it_is_connor_s_formula(discordant, difference, images):
    reach = norm.ppf(0.975) * math.sqrt(discordant)
    expected = norm.cdf((math.sqrt(images) * difference - reach) / math.sqrt(discordant - difference**2))
    found = power(difference, 1, images, Components(None, discordant, 0.0))
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize("difference", [0.2, 0.05, 0.0005])
def test_images_needed_are_the_fewest_that_are_enough(seeds, difference):
    components = Components(0.0, 0.05, 0.1)
    needed = images_needed(difference, seeds, components)
    assert power(difference, seeds, needed - 1, components) < 0.8 <= power(difference, seeds, needed, components)


def test_where_nothing_ever_differed_nothing_is_found():
    never = Components(0.0, 0.0, 0.0)
    assert 0 < power(0.0, 3, 200, never) < 0.05, "one more image in each direction could differ"
    assert detectable(3, 200, never) is None


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_what_is_detectable_is_found_in_80_per_cent_and_needs_as_many_images(seeds):
    least = detectable(seeds, 1000, MIXED)
    assert power(least, seeds, 1000, MIXED) == pytest.approx(0.8, abs=1e-6)
    assert images_needed(least, seeds, MIXED) == pytest.approx(1000, abs=2)


@pytest.mark.parametrize("seeds", [1, 5])
def test_at_a_smaller_level_it_takes_a_larger_difference(seeds):
    least = detectable(seeds, 1000, MIXED, level=0.0125)
    assert power(least, seeds, 1000, MIXED, level=0.0125) == pytest.approx(0.8, abs=1e-6)
    assert least > detectable(seeds, 1000, MIXED)


def test_more_images_and_more_seeds_show_smaller_differences():
    assert detectable(3, 2000, MIXED) < detectable(3, 500, MIXED)
    assert detectable(10, 500, MIXED) < detectable(5, 500, MIXED) < detectable(3, 500, MIXED)


def test_no_difference_is_found_that_is_larger_than_what_differs():
    assert detectable(2, 50, Components(0.0018, 0.1, 0.1)) is None
    least = detectable(3, 200, MIXED)
    assert least <= MIXED.seeds + MIXED.images + MIXED.rest


def test_what_no_number_of_images_shows():
    assert detectable(2, 1000, Components(0.04, 0.1, 0.1)) is None
    assert images_needed(0.05, 3, Components(0.01, 0.1, 0.1)) is None


@pytest.mark.parametrize(
    ("world", "wrong"),
    [
        (World(1, 500, 0.0, "shared"), 0.5),
        (World(3, 500, 0.05, "shared and own"), 0.5),
        (World(5, 500, 0.0, "mostly own"), 0.3),
    ],
)
def test_power_is_kept_where_it_is_claimed(world, wrong):
    # 400 boards: two standard deviations are 4 points, so that 8 are what chance leaves of 5 and of that.
    _, found = kept_power(world, wrong, 400, seed=1)
    assert found == pytest.approx(0.8, abs=0.09)


def test_one_seed_s_components_count_all_discordant_images():
    """Where one model alone withstands 40 of 100 images, 40 % are discordant, not 24 %."""
    first = np.arange(100)[None] < 40
    assert difference_of(first, np.zeros_like(first)).components.images == pytest.approx(0.4)


NONE = [0, 1, 2, -0.05, float("nan"), "0.05", None, [0.05], np.array([0.05, 0.01]), Decimal("0.05")]


@pytest.mark.parametrize("share", NONE, ids=repr)
@pytest.mark.parametrize("name", ["level", "wanted"])
def test_a_share_that_is_none_is_refused(name, share):
    asked = [lambda: detectable(3, 100, MIXED, **{name: share}), lambda: images_needed(0.1, 3, MIXED, **{name: share})]
    asked += [lambda: power(0.1, 3, 100, MIXED, share)] if name == "level" else []
    for each in asked:
        with pytest.raises(ValueError, match=rf"{name} must be in \(0, 1\)"):
            each()


@pytest.mark.parametrize("difference", [float("nan"), 1.5, -2, float("inf"), "0.1", None, Decimal("0.1"), [0.1]])
def test_a_difference_that_is_none_is_refused(difference):
    for asked in (lambda: power(difference, 3, 100, MIXED), lambda: images_needed(difference, 3, MIXED)):
        with pytest.raises(ValueError, match=r"difference must be in \[-1, 1\]"):
            asked()


@pytest.mark.parametrize("level", [5e-324, 1e-323, 1e-308, 1e-237, 1e-100])
@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_at_next_to_no_level_nothing_is_found(seeds, level):
    assert power(0.1, seeds, 100, MIXED, level) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("level", [Fraction(1, 20), np.float32(0.05)])
def test_a_level_of_another_type_counts_as_its_float(level):
    assert power(0.1, 5, 100, MIXED, level) == power(0.1, 5, 100, MIXED, float(level))


@pytest.mark.parametrize(
    ("seeds", "images", "components", "says"),
    [
        (0, 100, MIXED, "seeds must be"),
        (-3, 100, MIXED, "seeds must be"),
        (2.5, 100, MIXED, "seeds must be"),
        (2, 0, MIXED, "images must be"),
        (2, 100, Components(float("nan"), 0.1, 0.1), "components must be variances"),
        (2, 100, Components(0.1, float("inf"), 0.1), "components must be variances"),
        (2, 100, Components(-1, 0.1, 0.1), "components must be variances, from 0 to 4"),
        (1, 100, Components("a", 0.1, 0.1), "components must be variances"),
        (2, 100, Components(0.1, None, 0.1), "components must be variances"),
        (2, 100, Components(10**400, 1, 1), "components must be variances"),
        (2, 100, Components(1e308, 1e308, 1e308), "components must be variances"),
        (2, 100, (0.1, 0.1, 0.1), "components must be variances"),
        (2, 100, None, "components must be variances"),
        (2, 10**400, MIXED, "images must be"),
    ],
)
def test_what_no_power_follows_from_is_refused(seeds, images, components, says):
    for asked in (lambda: power(0.1, seeds, images, components), lambda: detectable(seeds, images, components)):
        with pytest.raises(ValueError, match=says):
            asked()


@pytest.mark.parametrize("difference", [0.0001, 0.00022, 0.00025, 0.0003])
def test_no_more_images_are_asked_for_than_is_said(difference):
    needed = images_needed(difference, 1, Components(0.0, 0.1, 0.0))
    assert needed is None or needed <= 10_000_000


@pytest.mark.parametrize(("seeds", "images"), [(3, 100), (3, 120), (1, 100)])
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
def test_counts_of_another_type_count_as_their_int(kind, seeds, images):
    assert power(0.03, kind(seeds), kind(images), MIXED) == power(0.03, seeds, images, MIXED)
    assert detectable(kind(seeds), kind(images), MIXED) == detectable(seeds, images, MIXED)


def test_components_of_another_type_count_as_their_float():
    fractions = Components(Fraction(1, 1000), Fraction(1, 20), Fraction(1, 10))
    assert power(0.03, 5, 100, fractions) == power(0.03, 5, 100, Components(0.001, 0.05, 0.1))


@pytest.mark.parametrize("discordant", [5e-324, 1e-30, 1e-16, 1e-13, 1e-6, 0.5])
def test_of_one_seed_no_more_is_found_than_the_level_where_nothing_differs(discordant):
    assert power(0, 1, 100, Components(None, discordant, 0)) <= 0.05 + 1e-9


@pytest.mark.parametrize("images", [1, 100, 10**6])
def test_where_one_seed_s_outcomes_never_differ_nothing_is_found(images):
    same = Components(None, 0, 0)
    assert power(0, 1, images, same) == 0
    assert images_needed(0, 1, same) is None


def test_a_difference_of_another_type_counts_as_its_float():
    assert power(Fraction(1, 10), 2, 100, MIXED) == power(0.1, 2, 100, MIXED)


@pytest.mark.parametrize("level", [0.05, 0.0125])
def test_images_needed_are_enough_at_that_level(level):
    needed = images_needed(0.15, 5, MIXED, level=level)
    assert power(0.15, 5, needed, MIXED, level) >= 0.8 > power(0.15, 5, needed - 1, MIXED, level)
