"""The forms of the update that a GPU takes, tried on the CPU: the same W, no decomposition, no pivoting."""

import pytest
import torch

from lrbench.lowrank import LRLayer, devices
from lrbench.lowrank.orthonormal import completed, orthonormal

M, N, K = 96, 32, 8


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(devices, "on_cpu", lambda _values: False)


def activations(seed, n=N):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(M, M, generator=torch.Generator().manual_seed(99))
    A = torch.randn(n, M, generator=generator) * torch.logspace(0, -3, M) @ mixing
    return A.relu() / M**0.5


def updated(layer, updates, n=N):
    for seed in range(updates):
        layer(activations(seed, n))
        layer.penalty()
        layer.update()
    return layer


@pytest.mark.parametrize("options", [{}, {"runs": 2}], ids=str)
@pytest.mark.parametrize("projection", ["subspace", "nystrom", "exact"])
def test_the_update_is_that_of_the_cpu(projection, options, monkeypatch):
    options = options if projection == "nystrom" else {}
    other = updated(LRLayer(M, K, projection, **options), 40)
    monkeypatch.undo()
    expected = updated(LRLayer(M, K, projection, **options), 40)
    if projection == "nystrom":
        # Of a spectrum without a gap two subspaces are about as good as each other.
        assert other.state().residual <= 1.02 * expected.state().residual
        return
    tolerance = {"exact": 1e-4, "subspace": 1e-3}[projection]
    assert (other.weight - expected.weight).norm() <= tolerance * expected.weight.norm()
    assert torch.allclose(other.bias, expected.bias, atol=10 * tolerance)


@pytest.mark.parametrize("projection", ["subspace", "nystrom"])
def test_w_grows_to_its_rank_where_a_batch_is_smaller(projection):
    layer = updated(LRLayer(M, 24, projection), 20, n=10)
    assert layer.state().rank == 24
    assert torch.linalg.eigvalsh(layer.weight.double()).min() > -1e-5


def test_a_basis_is_orthonormal_and_spans_the_columns():
    generator = torch.Generator().manual_seed(0)
    Y = torch.randn(60, 12, generator=generator) @ torch.diag(torch.logspace(0, -3, 12))
    Q = orthonormal(Y)
    assert torch.allclose(Q.T @ Q, torch.eye(12), atol=1e-4)
    assert (Y - Q @ (Q.T @ Y)).norm() <= 1e-5 * Y.norm()


def test_columns_that_are_0_stay_0_and_are_completed_by_others():
    Y = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    Y[:, 3:] = 0
    assert orthonormal(Y)[:, 3:].norm() == 0
    others = torch.ones(20, 2)
    full = completed(Y, others)
    assert torch.equal(full[:, :3], Y[:, :3])
    assert (full[:, 3:] == 1).all()
