import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrbench.diagnostics import class_variance_ratios, variance_ratio


def matrix(n, m, seed=0):
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.logspace(0, -3, m)
    return torch.randn(n, m, generator=generator) * spectrum + 0.3 * torch.rand(m, generator=generator)


def by_numpy(X, k):
    squares = np.linalg.svd(X.numpy().astype(np.float64), compute_uv=False) ** 2
    return squares[:k].sum() / squares.sum()


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (5000, 7), (1, 9), (9, 1)])
def test_variance_ratio_equals_numpy_s_svd(shape):
    X = matrix(*shape)
    ks = [1, 2, 5, 10, 100]
    found = variance_ratio(X, ks)
    assert found == pytest.approx([by_numpy(X, k) for k in ks], abs=1e-5)
    assert variance_ratio(X, 5) == found[2]
    assert isinstance(variance_ratio(X, 5), float)


@given(n=st.integers(1, 30), m=st.integers(1, 30), seed=st.integers(0, 1000), scale=st.floats(1e-4, 1e4))
def test_variance_ratio_rises_to_one_and_is_free_of_scale_and_rotation(n, m, seed, scale):
    X = matrix(n, m, seed)
    ratios = variance_ratio(X, list(range(1, min(n, m) + 1)))
    assert all(0 < ratio <= 1 for ratio in ratios)
    assert ratios == sorted(ratios)
    assert ratios[-1] == pytest.approx(1)
    Q = torch.linalg.qr(torch.randn(m, m, generator=torch.Generator().manual_seed(seed)))[0]
    assert variance_ratio(scale * X @ Q, 1) == pytest.approx(ratios[0], abs=1e-4)


def test_a_matrix_of_rank_k_has_no_leakage():
    X = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) @ torch.randn(
        3, 20, generator=torch.Generator().manual_seed(1)
    )
    assert 1 - variance_ratio(X, 3) < 1e-6
    assert 1 - variance_ratio(X, 2) > 1e-3


def test_class_variance_ratios_are_those_of_the_class_s_rows():
    X, labels = matrix(60, 8), torch.arange(60) % 3
    labels[labels == 2] = 7
    found = class_variance_ratios(X, labels)
    assert set(found) == {0, 1, 7}
    assert found[7] == variance_ratio(X[labels == 7], 1)


@pytest.mark.parametrize(
    ("X", "k", "message"),
    [
        (torch.ones(3), 1, "matrix"),
        (torch.ones(0, 3), 1, "non-empty"),
        (torch.ones(3, 3), 0, "k must be"),
        (torch.zeros(3, 3), 1, "not all zero"),
        (torch.full((3, 3), float("nan")), 1, "finite"),
    ],
)
def test_wrong_arguments_are_named(X, k, message):
    with pytest.raises(ValueError, match=message):
        variance_ratio(X, k)
