"""The one estimator of a difference: what it equals where other libraries have it, and what must never come out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t, ttest_1samp
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from lrbench.statistics import difference_of, on_the_same_images
from lrbench.statistics.difference import mean_squares

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 40))


def outcomes(shares, seeds, images=200, start=0):
    rng = np.random.default_rng(start)
    return [rng.random((seeds, images)) < share for share in shares]


def discordant(*counts, images=200):
    """Two models' outcomes: for each seed (more, less), images that only the first, or only the second, withstands."""
    first, second = (np.zeros((len(counts), images), bool) for _ in range(2))
    for seed, (more, less) in enumerate(counts):
        first[seed, :more] = True
        second[seed, more : more + less] = True
    return first, second


def test_mean_squares_are_those_of_a_two_way_analysis_of_variance():
    difference = outcomes([0.6], 4, 30)[0].astype(float) - outcomes([0.4], 4, 30, start=1)[0]
    seeds, images = np.indices(difference.shape)
    table = pd.DataFrame({"y": difference.ravel(), "s": seeds.ravel(), "i": images.ravel()})
    expected = anova_lm(ols("y ~ C(s) + C(i)", table).fit())
    assert mean_squares(difference) == pytest.approx((expected["sum_sq"] / expected["df"]).tolist())


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_where_images_tell_nothing_it_is_the_t_test_over_seeds(seeds):
    # Which images are discordant changes from seed to seed, without any that tend to be.
    rng = np.random.default_rng(seeds)
    found = 0
    for _ in range(40):
        first, second = rng.random((2, seeds, 400)) < np.array([[[0.62]], [[0.5]]])
        of_seeds, of_images, rest = mean_squares(first.astype(float) - second)
        if of_images > rest or of_seeds < 2 / 400:
            continue
        expected = ttest_1samp((first.astype(float) - second).mean(axis=1), 0)
        estimate = difference_of(first, second)
        interval = expected.confidence_interval()
        assert estimate.p == pytest.approx(expected.pvalue, rel=1e-6)
        assert estimate.interval == pytest.approx((max(interval.low, -1), min(interval.high, 1)))
        found += 1
    assert found > 5


def test_where_seeds_say_the_same_it_is_nearly_the_t_test_over_images():
    # Not quite: a part of a hundredth is always put down to seeds.
    first, second = (np.repeat(side, 3, axis=0) for side in outcomes((0.6, 0.5), 1))
    expected = ttest_1samp((first.astype(float) - second)[0], 0)
    estimate = difference_of(first, second)
    assert expected.pvalue < estimate.p < expected.pvalue + 0.01
    width, expected_width = (high - low for low, high in (estimate.interval, expected.confidence_interval()))
    assert expected_width < width < 1.03 * expected_width


def test_where_seeds_say_the_same_a_hundredth_is_put_down_to_them():
    seeds, images = 3, 200
    first, second = (np.repeat(side, seeds, axis=0) for side in outcomes((0.6, 0.5), 1, images))
    of_images = (first.astype(float) - second)[0].var(ddof=1) / images
    parts = np.array([0.01 * of_images, of_images])
    reach = np.average(t.ppf(0.975, [seeds - 1, images - 1]), weights=parts) * np.sqrt(parts.sum())
    estimate = difference_of(first, second)
    assert estimate.interval == pytest.approx((estimate.difference - reach, estimate.difference + reach))


def test_components_are_the_variances_that_outcomes_were_drawn_with():
    rng = np.random.default_rng(0)
    lean, shift, found = 0.2, 0.07, []
    for _ in range(100):
        chance = 0.5 + rng.choice([-lean, lean], 200) + rng.choice([-shift, shift], (20, 1))
        found.append(difference_of(rng.random(chance.shape) < chance, rng.random(chance.shape) < 0.5).components)
    assert np.mean([each.seeds for each in found]) == pytest.approx(shift**2, rel=0.2)
    assert np.mean([each.images for each in found]) == pytest.approx(lean**2, rel=0.05)
    assert np.mean([each.rest for each in found]) == pytest.approx(0.5 - lean**2 - shift**2, rel=0.02)


@given(SHAPES.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))))
def test_interval_and_p_agree_and_nothing_depends_on_who_is_first(sides):
    estimate, turned = difference_of(*sides), difference_of(*sides[::-1])
    low, high = estimate.interval
    assert -1 <= low <= estimate.difference <= high <= 1
    assert 0 < estimate.p <= 1
    if abs(estimate.p - 0.05) > 1e-9:
        assert (estimate.p < 0.05) == (low > 0 or high < 0)
    assert turned.interval == pytest.approx((-high, -low), abs=1e-9)
    assert turned.p == pytest.approx(estimate.p)


@pytest.mark.parametrize(
    "counts", [((25, 8), (8, 24)), ((30, 5), (5, 30), (30, 5)), ((30, 5), (4, 30), (30, 5), (5, 30), (30, 4))]
)
def test_seeds_of_opposite_sign_show_nothing(counts):
    # Each alone is beyond chance.
    for more, less in counts:
        assert difference_of(*discordant((more, less))).p < 0.05
    estimate = difference_of(*discordant(*counts))
    assert estimate.p > 0.2
    assert estimate.interval[0] < 0 < estimate.interval[1]


def test_more_seeds_that_agree_lower_p():
    rng = np.random.default_rng(4)
    first, second = rng.random((2, 8, 200)) < np.array([[[0.58]], [[0.5]]])
    ps = [difference_of(first[:seeds], second[:seeds]).p for seeds in (3, 5, 8)]
    assert ps == sorted(ps, reverse=True)
    assert ps[-1] < difference_of(first[:1], second[:1]).p
    assert ps[-1] < 0.01


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_no_discordant_image_is_not_perfect_knowledge(seeds):
    same = outcomes([0.5], seeds)[0]
    estimate = difference_of(same, same)
    assert estimate.difference == 0
    assert estimate.p == 1
    low, high = estimate.interval
    assert low == pytest.approx(-high)
    assert 1 / 200 < high < 4 / 200


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("images", [30, 200])
def test_the_larger_a_difference_that_all_seeds_see_the_surer_it_is(seeds, images):
    ps = []
    for more in range(images // 2, images + 1):
        first, second = discordant(*[(more, 0)] * seeds, images=images)
        ps.append(difference_of(first, second).p)
    assert ps == sorted(ps, reverse=True)


def test_seeds_that_agree_by_chance_are_not_sure():
    """Sixteen images against seven, the same number with either seed."""
    first, second = discordant((8, 3), (8, 3), images=100)
    second[1] = np.roll(second[1], 30)
    first[1] = np.roll(first[1], 30)
    estimate = difference_of(first, second)
    assert estimate.difference == 0.05
    assert estimate.p > 0.05


def test_of_models_with_unequally_many_images_the_first_ones_that_all_have_are_compared():
    first, second = on_the_same_images([np.arange(5), np.arange(3)], [np.arange(10, 14), np.arange(10, 16)])
    assert first.tolist() == [[0, 1, 2]] * 2
    assert second.tolist() == [[10, 11, 12]] * 2


def test_one_seed_knows_nothing_of_others():
    assert difference_of(*outcomes((0.6, 0.5), 1)).components.seeds is None
    assert difference_of(*outcomes((0.6, 0.5), 2)).components.seeds is not None


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((3,), (3,)), ((0, 3), (0, 3)), ((2, 0), (2, 0))])
def test_what_cannot_be_paired_is_refused(shapes):
    with pytest.raises(ValueError, match="equal shape"):
        difference_of(*(np.ones(shape, bool) for shape in shapes))
