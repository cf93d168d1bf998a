import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from lrbench.diagnostics import StoredMatrix, class_variance_ratios, principal, variance_ratio, variance_spectrum
from lrbench.diagnostics.blocks import blocks_of, computed_on
from lrbench.diagnostics.principal import GRAM_SIZE


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


def known_spectrum(n, m, squares, seed=0):
    """A matrix with these squared singular values."""
    generator = torch.Generator().manual_seed(seed)
    U = torch.linalg.qr(torch.randn(n, len(squares), generator=generator))[0]
    V = torch.linalg.qr(torch.randn(m, len(squares), generator=generator))[0]
    return U * squares.sqrt() @ V.T


@pytest.mark.turns("stored")
@pytest.mark.parametrize("decay", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("stored", [False, True])
def test_a_large_matrix_is_streamed_within_its_stated_error(tmp_path, decay, stored):
    squares = 100 * torch.arange(1, 1201, dtype=torch.float32) ** -decay
    X = known_spectrum(5000, 1200, squares)
    if stored:
        np.save(tmp_path / "X.npy", X.numpy())
    found = variance_spectrum(StoredMatrix(tmp_path / "X.npy") if stored else X, 20)
    truth = (squares.double().cumsum(0) / squares.double().sum())[:20]
    assert 0 < found.error[-1] <= 1e-4
    assert (found.ratios <= truth + 1e-6).all()
    assert (truth <= found.ratios + found.error + 1e-6).all()


def test_all_ratios_of_a_large_matrix_on_request():
    squares = torch.linspace(1, 0.01, 1100)
    found = variance_spectrum(known_spectrum(1300, 1100, squares)).ratios
    assert torch.allclose(found, (squares.cumsum(0) / squares.sum()).double(), atol=1e-5)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60), (3000, 1100)])
def test_centred_directions_are_the_principal_components(shape):
    X = matrix(*shape) + 2
    found = principal(X, 4, center=True)
    reference = PCA(4, svd_solver="full").fit(X.double().numpy())
    assert torch.allclose(found.mean, torch.from_numpy(reference.mean_))
    assert found.squares.numpy() == pytest.approx(reference.singular_values_**2, rel=1e-3)
    cosines = (found.components.double() @ torch.from_numpy(reference.components_).T).diagonal().abs()
    assert (cosines > 0.999).all()


def test_too_low_a_tolerance_is_said_to_be_out_of_reach():
    with pytest.raises(ArithmeticError, match="24 passes"):
        variance_spectrum(known_spectrum(1300, 1100, torch.ones(1100)), 2, tol=1e-12)


@pytest.mark.parametrize("array", [np.zeros(4, np.float32), np.zeros((4, 4), np.int64), np.zeros((4, 3), np.float32).T])
def test_a_stored_matrix_of_another_kind_is_refused(tmp_path, array):
    np.save(tmp_path / "X.npy", array)
    with pytest.raises(ValueError, match="must hold a float32 or float64 matrix"):
        StoredMatrix(tmp_path / "X.npy")


def test_a_file_that_was_cut_off_is_refused(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((50, 50), np.float32))
    content = (tmp_path / "X.npy").read_bytes()
    (tmp_path / "X.npy").write_bytes(content[:-100])
    with pytest.raises(ValueError, match="ends before"):
        variance_ratio(StoredMatrix(tmp_path / "X.npy"), 1)


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


@pytest.mark.parametrize("decay", [1.0, 3.0])
def test_spectra_that_fall_fast_are_found_by_iteration_too(decay):
    """A low-rank representation leaves the iteration nothing but rounding outside its first directions."""
    generator = torch.Generator().manual_seed(0)
    size = GRAM_SIZE + 76
    values = torch.arange(1, size + 1, dtype=torch.float64) ** -decay
    left, right = (torch.linalg.qr(torch.randn(size, size, generator=generator).double()).Q for _ in range(2))
    found = variance_spectrum(((left * values) @ right).float(), 30).ratios
    expected = values.square().cumsum(0)[:30] / values.square().sum()
    assert (found - expected).abs().max() < 1e-4


def test_blocks_come_to_where_they_are_computed_with_and_results_go_back():
    matrix = torch.randn(60, 9, generator=torch.Generator().manual_seed(0))
    with computed_on(torch.device("meta")):
        assert all(block.is_meta for block in blocks_of(matrix))
    assert torch.equal(next(blocks_of(matrix)), matrix)
    found = principal(matrix, 3)
    assert found.to(torch.device("meta")).components.is_meta
