import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.diagnostics import effective_rank, stable_rank, variance_ratio


def matrix(singular, rows=60, columns=40, seed=0):
    generator = np.random.default_rng(seed)
    U = np.linalg.qr(generator.standard_normal((rows, rows)))[0][:, : len(singular)]
    V = np.linalg.qr(generator.standard_normal((columns, columns)))[0][:, : len(singular)]
    return torch.from_numpy(U * np.array(singular) @ V.T).float()


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=30))
def test_ranks_are_those_of_numpy_s_singular_values(singular):
    A = matrix(singular)
    s = np.linalg.svd(A.double().numpy(), compute_uv=False)
    s = s[s > 1e-5 * s[0]]
    p = s / s.sum()
    assert effective_rank(A) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-3)
    assert stable_rank(A) == pytest.approx((s**2).sum() / s[0] ** 2, rel=1e-5)


def test_equal_singular_values_count_themselves():
    A = matrix([3.0] * 7)
    assert effective_rank(A) == pytest.approx(7, rel=1e-3)
    assert stable_rank(A) == pytest.approx(7, rel=1e-4)
    assert effective_rank(A.T) == pytest.approx(7, rel=1e-3)
    assert stable_rank(A) == pytest.approx(1 / variance_ratio(A, 1))


def test_scale_does_not_matter():
    A = matrix([5.0, 2.0, 1.0])
    assert effective_rank(100 * A) == pytest.approx(effective_rank(A), rel=1e-4)


@pytest.mark.parametrize("bad", [torch.zeros(4, 4), torch.ones(4), torch.full((4, 4), float("nan"))])
def test_nothing_to_measure_is_an_error(bad):
    with pytest.raises(ValueError, match="activations must be"):
        effective_rank(bad)
