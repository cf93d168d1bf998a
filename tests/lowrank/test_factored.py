"""The update on factors against the dense matrix it stands for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.dense_oracle import exact_projection

from lrbench.lowrank import nystrom
from lrbench.lowrank.factors import LowRank
from lrbench.lowrank.interpolation import interpolated
from lrbench.lowrank.projection import Exact, Nystrom, Subspace
from lrbench.lowrank.step import gradient_step

SIZES = {"m": st.integers(2, 40), "n": st.integers(1, 30), "seed": st.integers(0, 10_000)}


def case(m, n, k, seed, dtype=torch.float64, filled=None):
    """W with `filled` non-zero columns in its factor and a norm of 1, activations of any size, and W's step."""
    generator = torch.Generator().manual_seed(seed)
    F = torch.randn(m, k, generator=generator, dtype=torch.float64)
    F[:, k if filled is None else filled :] = 0
    F /= torch.linalg.matrix_norm(F, 2).clamp_min(1e-12)
    X = 10 ** (seed % 7 - 3) * torch.randn(n, m, generator=generator, dtype=torch.float64)
    W = LowRank.from_factor(F.to(dtype))
    return gradient_step(W, X.to(dtype), X.to(dtype) @ W.rows.T, 1.0)


def dense_step(stepped):
    """W - c (W X^T X + X^T X W) + 2 c X^T X: the gradient step as it is printed."""
    W, X = stepped.W.dense().double(), stepped.X.double()
    c = 1 / (2 * (X @ X.T).norm())
    XX = X.T @ X
    return W - c * (W @ XX + XX @ W) + 2 * c * XX


def project(projection, stepped, seed=0):
    projected = projection(stepped, seed)
    return interpolated(stepped, projected.coefficients, projected.gram)


def relative_error(found, expected):
    return ((found.double() - expected).norm() / expected.norm()).item()


@given(**SIZES, data=st.data())
def test_exact_is_the_best_approximation_of_the_gradient_step(m, n, seed, data):
    k = data.draw(st.integers(1, m))
    stepped = case(m, n, k, seed, filled=data.draw(st.integers(0, k)))
    target = dense_step(stepped)
    assert abs(stepped.trace() - target.trace()) <= 1e-9 * target.trace()
    W = project(Exact(), stepped)
    assert relative_error(W.dense(), exact_projection(target, k)) < 1e-6
    assert torch.allclose(W.gram, W.factor.T @ W.factor, atol=1e-9)
    assert relative_error(W.refreshed().dense(), W.dense()) < 1e-12


@given(**SIZES, runs=st.integers(1, 3))
def test_nystrom_equals_the_paper_s_operator_on_the_dense_matrix(m, n, seed, runs):
    k = max(1, m // 4)
    generator = torch.Generator().manual_seed(seed)
    columns = torch.stack([torch.randperm(m, generator=generator)[: 2 * k] for _ in range(runs)])
    stepped = case(m, n, k, seed)
    expected = nystrom(dense_step(stepped), k, columns=columns, runs=runs)
    W = project(Nystrom(columns, runs), stepped)
    assert relative_error(W.dense(), expected) < 1e-5
    assert torch.allclose(W.gram, W.factor.T @ W.factor, atol=1e-8)


def test_nystrom_s_error_is_the_share_of_the_trace_it_lost():
    stepped = case(40, 10, 5, 1)
    total = dense_step(stepped).trace()
    projected = Nystrom()(stepped, 0)
    W = interpolated(stepped, projected.coefficients, projected.gram)
    assert torch.isclose(projected.error, (total - W.dense().trace()) / total)
    assert 0 < projected.error < 1


@given(**SIZES)
def test_subspace_falls_back_to_exact_beyond_its_bound(m, n, seed):
    k = max(1, m // 3)
    stepped = case(m, n, k, seed)
    expected = exact_projection(dense_step(stepped), k)
    assert relative_error(project(Subspace(bound=-1.0), stepped).dense(), expected) < 1e-6


def test_subspace_follows_a_subspace_that_hardly_moves():
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(60, 8, generator=generator))[0].T
    W = LowRank.from_factor(basis.T.contiguous())
    for step in range(20):
        X = torch.randn(30, 8, generator=generator) @ basis + 0.05 * torch.randn(30, 60, generator=generator)
        stepped = gradient_step(W, X, X @ W.rows.T, 1.0)
        expected = exact_projection(dense_step(stepped), 8)
        projected = Subspace()(stepped, step)
        W = interpolated(stepped, projected.coefficients, projected.gram)
        assert 0 < projected.error < 0.02, "it must not have fallen back"
        assert relative_error(W.dense(), expected) < 0.01


@given(m=st.integers(1, 30), n=st.integers(1, 20), k=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_interpolation_gives_the_factor_that_the_coefficients_stand_for(m, n, k, seed):
    stepped = case(m, n, k, seed)
    T = torch.randn(n + k, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    T[:, : seed % k] = 0
    F = torch.cat([stepped.X, stepped.W.factor.T]).T @ T
    W = interpolated(stepped, T, F.T @ F)
    assert torch.allclose(W.dense(), F @ F.T, rtol=1e-7, atol=1e-9 * F.norm() ** 2)
    assert W.rows is stepped.W.rows


@pytest.mark.parametrize(("m", "n", "k"), [(300, 64, 40), (600, 40, 60)])
def test_hundred_updates_in_single_precision_keep_their_accuracy(m, n, k):
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(m, m, generator=generator) * torch.linspace(1, 0.02, m)[:, None]
    W = LowRank.from_factor(torch.zeros(m, k))
    for step in range(100):
        X = (torch.randn(n, m, generator=generator) @ mixing).relu()
        stepped = gradient_step(W, X, X @ W.rows.T, 1.0)
        last = step % 10 == 9
        expected = exact_projection(dense_step(stepped), k) if last else None
        W = project(Exact(), stepped)
        if last:
            assert relative_error(W.dense(), expected) < 2e-5
        if step % 16 == 15:
            W = W.refreshed()


def test_a_zero_matrix_and_zero_activations_stay_zero():
    stepped = gradient_step(LowRank.from_factor(torch.zeros(6, 2)), torch.zeros(3, 6), torch.zeros(3, 2), 1.0)
    assert not project(Exact(), stepped).dense().any()
