import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.dense_oracle import nystrom_projection

from lrbench.lowrank import nystrom, truncate


def random_psd(m, rank, seed, dtype=torch.float64):
    F = torch.randn(m, rank, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return F @ F.T / m


def assert_symmetric_psd_of_rank(W, rank):
    assert torch.allclose(W, W.T, atol=1e-12)
    eigenvalues = torch.linalg.eigvalsh(W)
    scale = eigenvalues.abs().max().clamp_min(1e-30)
    assert eigenvalues.min() >= -1e-9 * scale
    assert (eigenvalues > 1e-9 * scale).sum() <= rank


@given(
    m=st.integers(2, 24),
    true_rank=st.integers(1, 24),
    data=st.data(),
    runs=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
def test_lemma_3_1_nystrom_of_a_spsd_matrix_is_spsd(m, true_rank, data, runs, seed):
    W = random_psd(m, true_rank, seed)
    rank = data.draw(st.integers(1, m))
    count = data.draw(st.integers(rank, m))
    result = nystrom(W, rank, columns=count, runs=runs, generator=torch.Generator().manual_seed(seed))
    assert_symmetric_psd_of_rank(result, rank)


@given(m=st.integers(2, 24), true_rank=st.integers(1, 24), data=st.data(), seed=st.integers(0, 10_000))
def test_truncate_is_the_best_approximation(m, true_rank, data, seed):
    W = random_psd(m, true_rank, seed)
    rank = data.draw(st.integers(1, m))
    result = truncate(W, rank)
    assert_symmetric_psd_of_rank(result, rank)
    tail = torch.linalg.svdvals(W)[rank:]
    assert torch.allclose((W - result).norm(), tail.norm(), atol=1e-10)


def test_truncate_of_an_indefinite_matrix_keeps_the_largest_magnitudes():
    W = torch.diag(torch.tensor([1.0, -3.0, 2.0]))
    assert torch.allclose(truncate(W, 2), torch.diag(torch.tensor([0.0, -3.0, 2.0])))


def test_nystrom_with_all_columns_is_exact():
    W = random_psd(12, 12, seed=3)
    assert torch.allclose(nystrom(W, 5, columns=torch.arange(12)), truncate(W, 5), atol=1e-10)


def test_nystrom_recovers_a_matrix_of_low_rank():
    W = random_psd(30, 4, seed=4)
    assert torch.allclose(nystrom(W, 4, generator=torch.Generator().manual_seed(0)), W, atol=1e-9)


def test_nystrom_equals_the_paper_s_formula():
    W = random_psd(20, 20, seed=5)
    columns = torch.tensor([3, 17, 0, 8, 11, 5])
    assert torch.allclose(nystrom(W, 3, columns=columns), nystrom_projection(W, 3, columns), atol=1e-10)


def test_ensemble_is_the_truncated_average():
    W = random_psd(20, 20, seed=6)
    columns = torch.stack([torch.arange(6), torch.arange(6, 12), torch.arange(12, 18)])
    mean = sum(nystrom(W, 3, columns=row) for row in columns) / 3
    assert torch.linalg.matrix_rank(mean) > 3
    assert torch.allclose(nystrom(W, 3, columns=columns, runs=3), truncate(mean, 3), atol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda W: truncate(W, 0), "rank must lie in 1..6"),
        (lambda W: truncate(W[:3], 2), "square"),
        (lambda W: nystrom(W, 7), "rank must lie in 1..6"),
        (lambda W: nystrom(W, 3, columns=2), "number of columns"),
        (lambda W: nystrom(W, 2, columns=torch.tensor([0, 0, 1])), "distinct"),
        (lambda W: nystrom(W, 2, columns=torch.tensor([0, 6])), "distinct indices in 0..5"),
        (lambda W: nystrom(W, 2, columns=torch.zeros(2, 3).long(), runs=3), r"\(3, l\)"),
        (lambda W: nystrom(W, 2, runs=0), "runs"),
        (lambda W: truncate(W * float("nan"), 2), "NaN"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises((ValueError, FloatingPointError), match=message):
        call(random_psd(6, 6, seed=0))
