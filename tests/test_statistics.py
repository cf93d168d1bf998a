import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from lrbench.statistics import mcnemar, paired_bootstrap, wilson
from lrbench.verdicts import verdict_of


@given(st.integers(1, 400), st.data())
def test_wilson_is_scipy_s(n, data):
    count = data.draw(st.integers(0, n))
    expected = binomtest(count, n).proportion_ci(method="wilson")
    assert wilson(count / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_pairs(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_paired_bootstrap_is_scipy_s():
    generator = np.random.default_rng(0)
    first = generator.random(200) < 0.6
    second = np.where(generator.random(200) < 0.8, first, ~first)
    low, high = paired_bootstrap(first, second)
    reference = bootstrap(
        (first.astype(float) - second.astype(float),), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.011)
    assert low < first.mean() - second.mean() < high
    assert paired_bootstrap(first, first) == (0.0, 0.0)


def test_what_cannot_be_paired_is_refused():
    with pytest.raises(ValueError, match="equal length"):
        paired_bootstrap(np.ones(3), np.ones(4))


def test_the_worst_flag_makes_the_verdict():
    assert verdict_of([]) == "held up"
    assert verdict_of(["suspicious"]) == "suspicious"
    assert verdict_of(["suspicious", "broken", "suspicious"]) == "broken"
