import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lrbench.statistics import mcnemar, wilson


@given(st.integers(1, 400), st.data())
def test_wilson_is_scipy_s(n, data):
    count = data.draw(st.integers(0, n))
    expected = binomtest(count, n).proportion_ci(method="wilson")
    assert wilson(count / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_pairs(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
