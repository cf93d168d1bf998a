"""What LR-Layers remember, forget, refuse and say of themselves, and the small parts that updates are made of."""

import pytest
import torch
from support.nets import conv_net
from torch import nn

from lrbench.lowrank import LRLayer, attach_lr_layers, bias_at, devices, nystrom, subspace_at
from lrbench.lowrank.factors import LowRank
from lrbench.lowrank.interpolation import interpolated
from lrbench.lowrank.layer import REFRESH
from lrbench.lowrank.orthonormal import completed
from lrbench.lowrank.projection import Exact, Nystrom, Subspace
from lrbench.lowrank.recorded import RecordedUpdates, recordable
from lrbench.lowrank.spectrum import draw_columns, smoothed_eigh, top_eigenpairs
from lrbench.lowrank.step import gradient_step
from lrbench.lowrank.watch import CHECK, LateWatch

M, N, K = 30, 12, 4


def activations(seed, n=N, m=M):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, m, generator=generator) * torch.linspace(1, 0.1, m)


def updated(layer, updates, start=0):
    for seed in range(start, start + updates):
        layer(activations(seed))
        layer.penalty()
        layer.update()
    return layer


def test_switched_off_a_layer_forgets_what_was_penalised():
    model = attach_lr_layers(conv_net(), {"3": 4})
    model(torch.randn(4, 3, 8, 8))
    model.lr_layers.penalty()
    model.lr_layers.enable(enabled=False)
    model.lr_layers.update()
    assert model.lr_layers["3"].updates == 0


def test_options_of_one_layer_go_before_those_of_all():
    given = {"2": {"rank": 5, "lambda_1": 2.0}, "3.1": 4}
    layers = attach_lr_layers(conv_net(), given, lambda_1=1.0, step=0.5).lr_layers
    assert [(layer.rank, layer.lambda_1, layer.step) for layer in layers.layers] == [(5, 2.0, 0.5), (4, 1.0, 0.5)]


def test_b_and_the_subspace_are_those_of_a_layer_that_acted():
    model = attach_lr_layers(conv_net(), {"3": 4})
    assert (bias_at(model, "3"), subspace_at(model, "3")) == (0.0, None)
    for seed in range(3):
        model(torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(seed)))
        model.lr_layers.penalty()
        model.lr_layers.update()
    assert bias_at(model, "3").norm() > 0
    assert torch.equal(bias_at(model, "3"), model.lr_layers["3"].bias)
    assert torch.equal(subspace_at(model, "3")[1], model.lr_layers["3"].bias)
    assert (bias_at(model, "2"), subspace_at(model, "2")) == (0.0, None)


def test_directions_that_w_hardly_reaches_are_of_its_subspace():
    model = attach_lr_layers(nn.Sequential(nn.Flatten(), nn.Linear(8, 8)), {"1": 3})
    model(torch.randn(16, 8))
    model.lr_layers.penalty()
    model.lr_layers["1"].mix = torch.diag(torch.tensor([1.0, 1e-4, 1e-9]))
    assert subspace_at(model, "1")[0].shape == (2, 8)


def test_a_module_that_gives_no_tensor_is_named():
    model = attach_lr_layers(nn.Sequential(nn.LSTM(4, 4)), {"0": 2})
    with pytest.raises(TypeError, match="an LR-Layer needs a tensor; LSTM gives a tuple"):
        model(torch.randn(3, 4))


def test_other_activations_than_before_are_refused():
    layer = updated(LRLayer(None, K), 1)
    layer(torch.randn(N, M + 1))
    with pytest.raises(ValueError, match=f"has {M} features; the activations have {M + 1}"):
        layer.penalty()


@pytest.mark.parametrize(
    "given", [{"step": 0.0}, {"bias_step": 0.0}, {"lambda_1": float("inf")}, {"lambda_2": float("inf")}]
)
def test_numbers_at_the_ends_of_what_is_meant_are_refused(given):
    with pytest.raises(ValueError, match=next(iter(given))):
        LRLayer(8, 2, **given)


def test_the_norm_penalty_is_the_mean_distance_of_lengths_from_1():
    layer = LRLayer(M, K, lambda_2=0.3)
    layer(torch.eye(M)[:4] * torch.tensor([0.5, 1.5, 3.0, 1.0])[:, None])
    assert layer.penalty().norm == pytest.approx(0.3 * (0.5 + 0.5 + 2.0 + 0.0) / 4)


def test_a_state_is_that_of_w_and_of_the_last_batch():
    layer = updated(LRLayer(M, K), 3)
    X = activations(3) + layer.bias
    expected = ((X @ layer.weight - X).norm() / X.norm()).item()
    layer(activations(3))
    layer.penalty()
    assert layer.state().residual == pytest.approx(expected, rel=1e-4)
    assert layer.state().largest_eigenvalue == pytest.approx(torch.linalg.eigvalsh(layer.weight)[-1].item(), rel=1e-4)
    layer.gram = torch.diag(torch.tensor([1e-5, 1.0, 1e-3, 0.5]))
    assert layer.state()[:2] == (3, 1.0)


def test_the_factor_is_multiplied_out_now_and_then():
    layer, multiplied = LRLayer(M, K), []
    for update in range(1, 2 * REFRESH + 2):
        updated(layer, 1, start=update)
        if torch.equal(layer.mix, torch.eye(K)):
            multiplied.append(update)
    assert multiplied == [REFRESH, 2 * REFRESH]


def test_a_refreshed_factor_has_no_second_part_and_a_gram_matrix_of_its_own():
    W = LowRank(torch.randn(K, M), torch.randn(K, K), torch.zeros(K, K))
    new = W.refreshed()
    assert torch.equal(new.mix, torch.eye(K))
    assert torch.allclose(new.dense(), W.dense(), atol=1e-4)
    assert torch.allclose(new.gram, W.factor.T @ W.factor, atol=1e-4)


def test_nystrom_s_columns_hang_on_the_seed_and_the_update():
    one, same, other = (updated(LRLayer(M, K, "nystrom", seed=seed), 3) for seed in (0, 0, 1))
    assert torch.equal(one.weight, same.weight)
    assert not torch.allclose(one.weight, other.weight, atol=1e-5)
    W = LowRank.from_factor(torch.linalg.qr(torch.randn(M, K))[0])
    stepped = gradient_step(W, activations(0), activations(0) @ W.rows.T, 1.0)
    first, again, second = (Nystrom()(stepped, seed).gram for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.allclose(first, second, atol=1e-5)


def test_each_run_has_columns_of_its_own_twice_as_many_as_the_rank():
    generator = torch.Generator().manual_seed(0)
    drawn = draw_columns(40, 5, None, 3, generator)
    assert drawn.shape == (3, 10)
    assert len({tuple(sorted(row.tolist())) for row in drawn}) == 3
    assert draw_columns(7, 5, None, 1, generator).sort().values.tolist() == [[*range(7)]]


def test_nystrom_of_columns_of_a_lower_rank_is_the_paper_s_operator():
    """What is zero to rounding on the sampled columns has no place in the pseudo-inverse, whatever it is on others."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(2, M, generator=generator, dtype=torch.float64)
    columns = torch.randperm(M, generator=generator)[:12]
    X[1, columns] = 2 * X[0, columns]
    F = torch.linalg.qr(torch.randn(M, 6, generator=generator, dtype=torch.float64))[0]
    F[columns] = 0
    W, XX = LowRank.from_factor(F), X.T @ X
    stepped = gradient_step(W, X, X @ W.rows.T, 1.0)
    dense = W.dense() + (2 * XX - W.dense() @ XX - XX @ W.dense()) / (2 * (X @ X.T).norm())
    projected = Nystrom(columns)(stepped, 0)
    assert torch.linalg.matrix_rank(projected.gram, rtol=1e-9) == 1
    found = interpolated(stepped, projected.coefficients, projected.gram)
    assert torch.allclose(found.dense(), nystrom(dense, 6, columns=columns), atol=1e-9)


def far(seed=0):
    """A step that moves the subspace a little more than block iteration follows."""
    generator = torch.Generator().manual_seed(seed)
    W = LowRank.from_factor(torch.linalg.qr(torch.randn(M, K, generator=generator))[0])
    X = activations(seed)
    return gradient_step(W, X, X @ W.rows.T, 1.0)


def test_block_iteration_that_is_not_near_enough_is_made_exactly():
    stepped = far()
    followed = Subspace(bound=1.0)(stepped, 0)
    assert 0.02 < followed.error < 0.5
    assert followed.error < Subspace(iterations=0, bound=1.0)(stepped, 0).error
    assert torch.equal(Subspace()(stepped, 0).coefficients, Exact()(stepped, 0).coefficients)


def test_an_update_is_exact_where_an_earlier_figure_went_beyond_the_bound(monkeypatch):
    monkeypatch.setattr(devices, "on_cpu", lambda _values: False)
    late, usual, exact = (LRLayer(M, K, projection) for projection in ("subspace", "subspace", "exact"))
    late.watch.over = True
    for layer in (late, usual, exact):
        updated(layer, 1)
    assert torch.equal(late.weight, exact.weight)
    assert not torch.equal(usual.weight, exact.weight)


def test_columns_of_0_are_replaced_by_others_in_turn():
    others = torch.tensor([1.0, 2.0, 3.0]).expand(6, 3)
    assert completed(torch.zeros(6, 5), others)[0].tolist() == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_a_decomposition_is_smoothed_by_a_hundredth_again_and_again(monkeypatch, failures):
    W = torch.diag(torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64))
    real, left = torch.linalg.eigh, [True] * failures

    def failing(matrix):
        if left:
            left.pop()
            raise torch.linalg.LinAlgError
        return real(matrix)

    for smoothed, added in ((True, 0.01 * failures), (False, 0.0)):
        left[:] = [True] * failures
        monkeypatch.setattr(torch.linalg, "eigh", failing)
        assert smoothed_eigh(W, smoothed=smoothed)[0].tolist() == pytest.approx([1 + added, 2 + added, 3 + added])


def test_pairs_that_are_zero_to_rounding_are_left_out():
    F = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    assert len(top_eigenpairs(F @ F.T, 6)[0]) == 3
    assert len(top_eigenpairs(F @ F.T, 2)[0]) == 2
    for nothing in (torch.zeros(4, 4), -torch.eye(4)):
        assert len(top_eigenpairs(nothing, 2)[0]) == 0


def test_a_checkpoint_says_whether_a_layer_was_on():
    layer, fresh = LRLayer(M, K), LRLayer(M, K)
    layer.enabled = False
    fresh.load_state_dict(layer.state_dict())
    assert not fresh.enabled


def test_a_checkpoint_from_before_there_was_a_watch_is_read():
    layer = LRLayer(M, K)
    layer.set_extra_state(torch.tensor([7, 5, 1, 1]))
    assert (layer.calls, layer.updates, layer.started, layer.enabled, layer.watch.over) == (7, 5, True, True, False)


def test_a_checkpoint_of_other_features_is_refused():
    with pytest.raises(RuntimeError, match="size mismatch"):
        LRLayer(M, K).load_state_dict(LRLayer(M + 1, K).state_dict())


@pytest.mark.parametrize(("figure", "over"), [(0.03, True), (float("nan"), True), (0.01, False)])
def test_a_figure_that_is_under_way_is_in_a_checkpoint(monkeypatch, figure, over):
    monkeypatch.setattr(devices, "on_cpu", lambda _values: False)
    layer = LRLayer(M, K, "subspace")
    kept = torch.tensor(figure)
    layer.watch.send(0, kept)
    kept.fill_(0)
    assert layer.get_extra_state()[-1] == over
    watch = LateWatch(0.02)
    watch.send(0, torch.tensor(0.03))
    assert [watch.exceeded(count) for count in (1, CHECK, 2 * CHECK)] == [False, True, False]


def test_updates_can_be_recorded_of_a_subspace_at_every_call_alone():
    given = ({"projection": "subspace"}, {"projection": "subspace", "every": 2}, {"projection": "exact"})
    assert [recordable(LRLayer(M, K, **options)) for options in given] == [True, False, False]


def test_what_is_recorded_follows_the_newest_batches_of_all_layers():
    layers = [LRLayer(M, K, "subspace") for _ in range(2)]
    updates = RecordedUpdates(layers)
    layers[0](activations(0))
    layers[0].penalty()
    assert not updates.due
    for layer in layers:
        layer(activations(1))
        layer.penalty()
    assert updates.due
    updates.hold()
    updates.put()
    assert all(torch.equal(layer.batches[0].shifted, activations(1)) for layer in layers)
    assert updates.ready()
    layers[1].watch.over = True
    assert not updates.ready()
