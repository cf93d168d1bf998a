import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from statsmodels.stats.proportion import proportion_confint

from lrbench.statistics import clopper_pearson, failures, mcnemar, wilson


@given(st.integers(1, 400), st.data())
def test_wilson_is_scipy_s(n, data):
    count = data.draw(st.integers(0, n))
    expected = binomtest(count, n).proportion_ci(method="wilson")
    assert wilson(count / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_at_its_ends_wilson_s_interval_ends_exactly_there():
    assert {wilson(0.0, n)[0] for n in range(1, 401)} == {0.0}
    assert {wilson(1.0, n)[1] for n in range(1, 401)} == {1.0}


@pytest.mark.parametrize(("proportion", "n"), [(-0.1, 5), (1.1, 5), (float("nan"), 5), (0.5, 0)])
def test_wilson_is_of_a_proportion(proportion, n):
    with pytest.raises(ValueError, match="expected a proportion"):
        wilson(proportion, n)


@given(st.integers(1, 400), st.data(), st.sampled_from([0.001, 0.05, 0.5]))
def test_clopper_pearson_is_statsmodels_s(n, data, alpha):
    count = data.draw(st.integers(0, n))
    expected = proportion_confint(count, n, alpha=2 * alpha, method="beta")[0] if count else 0.0
    assert clopper_pearson(count, n, alpha) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("successes", "n", "alpha"), [(-1, 5, 0.1), (6, 5, 0.1), (0, 0, 0.1), (1, 5, 0.0), (1, 5, 1.0)]
)
def test_clopper_pearson_is_of_a_proportion(successes, n, alpha):
    with pytest.raises(ValueError, match="expected 0 <= successes <= n"):
        clopper_pearson(successes, n, alpha)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_pairs(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [1, 100, 10_000])
def test_failures_are_the_quantile_of_the_binomial_distribution(count):
    assert failures(count, 0.001) == binom.ppf(0.999, count, 0.001)
    assert failures(count, 0.001, 0.9) == binom.ppf(0.9, count, 0.001)
