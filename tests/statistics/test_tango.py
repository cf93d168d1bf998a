import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from statsmodels.stats.contingency_tables import mcnemar

from lrbench.statistics import tango
from lrbench.statistics.proportion import Z_95

PAIRS = st.integers(1, 300).flatmap(
    lambda pairs: st.integers(0, pairs).flatmap(
        lambda more: st.tuples(st.just(more), st.integers(0, pairs - more), st.just(pairs))
    )
)


def statistic(value, more, less, pairs):
    """Score of a difference, with the rarer proportion by a search for the likelihood's maximum."""

    def loss(rare):
        cells = ((more, rare + value), (less, rare), (pairs - more - less, 1 - 2 * rare - value))
        return -sum(count * math.log(max(chance, 1e-300)) for count, chance in cells if count)

    rare = minimize_scalar(loss, bounds=(max(0.0, -value), (1 - value) / 2), method="bounded", options={"xatol": 1e-12})
    variance = pairs * (2 * rare.x + value * (1 - value))
    return (more - less - pairs * value) / math.sqrt(variance)


@given(PAIRS)
def test_bounds_are_the_differences_that_the_score_test_just_does_not_reject(counts):
    more, less, pairs = counts
    low, high = tango.interval(more, less, pairs)
    assert -1 <= low <= (more - less) / pairs <= high <= 1
    for bound, sign in ((low, 1), (high, -1)):
        if abs(bound) < 1 - 1e-9 and abs((more - less) / pairs - bound) > 1e-6:
            assert statistic(bound, more, less, pairs) == pytest.approx(sign * Z_95, rel=1e-3)


@given(st.integers(0, 200), st.integers(0, 200))
def test_p_is_mcnemar_s_without_correction(more, less):
    if more + less:
        expected = mcnemar([[0, more], [less, 0]], exact=False, correction=False).pvalue
        assert tango.score_p(more, less) == pytest.approx(expected)


@pytest.mark.parametrize("pairs", [1, 200, 1_000_000])
def test_no_discordant_pair(pairs):
    assert tango.score_p(0, 0) == 1
    assert tango.interval(0, 0, pairs) == pytest.approx((-(Z_95**2) / (pairs + Z_95**2), Z_95**2 / (pairs + Z_95**2)))


def test_all_pairs_discordant():
    assert tango.interval(50, 0, 50)[1] == 1
    assert tango.interval(0, 50, 50)[0] == -1
