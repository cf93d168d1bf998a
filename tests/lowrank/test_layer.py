import copy
import pickle

import pytest
import torch
from support.dense_oracle import DenseLRLayer, exact_projection, nystrom_projection
from support.nets import InPlace, conv_net
from torch import nn

from lrbench.lowrank import LRLayer, attach_lr_layers, devices, subspace_at

M, N, K = 48, 20, 6


def activations(seed, n=N, m=M, dtype=torch.float32, scale=1.0):
    """Rectified, correlated rows, as a network has them."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(m, m, generator=torch.Generator().manual_seed(99), dtype=dtype)
    spectrum = torch.linspace(1, 0.1, m, dtype=dtype)
    return scale * (torch.randn(n, m, generator=generator, dtype=dtype) * spectrum @ mixing).relu() / m**0.5


def stepped(layer, A):
    layer(A)
    penalty = layer.penalty()
    layer.update()
    return penalty


def dense_twin(layer):
    return DenseLRLayer(layer.weight, layer.bias, layer.lambda_1, layer.lambda_2)


def steps_of(layer, A):
    """The plain step sizes that the layer's relative ones stand for."""
    X = A + layer.bias
    bound = (X @ X.T).norm()
    return layer.step * len(A) / (2 * layer.lambda_1 * bound), layer.bias_step / (2 * layer.lambda_1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("lambda_1", [0.3, 5.0])
def test_exact_update_equals_algorithm_1(dtype, tolerance, lambda_1):
    layer = LRLayer(M, K, lambda_1=lambda_1, lambda_2=0.2).to(dtype)
    for seed in range(5):
        A = activations(seed, dtype=dtype, scale=10)
        layer(A)
        penalty = layer.penalty()
        oracle = dense_twin(layer)
        D1, D2 = oracle.penalties(A)
        assert torch.allclose(penalty.reconstruction, D1, rtol=1e-5)
        assert torch.allclose(penalty.norm, D2, rtol=1e-5)
        eta, eta_b = steps_of(layer, A)
        layer.update()
        oracle.update(A, eta, eta_b, lambda W: exact_projection(W, K))
        assert (layer.weight - oracle.W).norm() <= tolerance * oracle.W.norm()
        assert torch.allclose(layer.bias, oracle.b.detach(), atol=10 * tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_nystrom_update_equals_algorithm_1_for_the_same_columns(dtype, tolerance):
    columns = torch.randperm(M, generator=torch.Generator().manual_seed(0))[: 2 * K]
    layer = LRLayer(M, K, "nystrom", columns=columns).to(dtype)
    for seed in range(5):
        A = activations(seed, dtype=dtype, scale=10)
        layer(A)
        layer.penalty()
        oracle = dense_twin(layer)
        eta, eta_b = steps_of(layer, A)
        layer.update()
        oracle.update(A, eta, eta_b, lambda W: nystrom_projection(W, K, columns))
        assert (layer.weight - oracle.W).norm() <= tolerance * oracle.W.norm()


@pytest.mark.turns("scale")
@pytest.mark.parametrize("options", [{}, {"projection": "nystrom"}, {"projection": "nystrom", "runs": 3}])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_two_hundred_updates_stay_finite_symmetric_psd_and_of_low_rank(options, scale):
    layer = LRLayer(M, K, **options)
    for seed in range(200):
        A = activations(seed)
        stepped(layer, scale * A / A.norm(dim=1, keepdim=True).clamp_min(1e-6))
    W = layer.weight.double()
    assert W.isfinite().all()
    assert layer.bias.isfinite().all()
    eigenvalues = torch.linalg.eigvalsh(W)
    assert torch.equal(W, W.T)
    assert eigenvalues.min() > -1e-5
    assert (eigenvalues > 1e-5 * eigenvalues.max()).sum() <= K


def test_the_plain_step_that_the_paper_prints_diverges():
    """Why the layer scales its step: the reason must not be lost."""
    A = activations(0)
    A = 50 * A / A.norm(dim=1, keepdim=True)
    oracle = DenseLRLayer(torch.eye(M), torch.zeros(M), 1.0, 0.1)
    oracle.W_S.data = exact_projection(torch.eye(M), K)
    for _ in range(200):
        if not oracle.W_S.isfinite().all():
            return
        oracle.update(A, 0.01, 0.01, lambda W: exact_projection(W, K) if W.isfinite().all() else W)
    pytest.fail("the plain step stayed finite")


def test_updates_find_the_subspace_that_the_activations_lie_in():
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(M, 3, generator=generator))[0]
    offset = 4 * torch.randn(M, generator=generator)
    layer = LRLayer(M, 4, lambda_2=0.0)
    losses = []
    for _ in range(300):
        A = torch.randn(64, 3, generator=generator) @ directions.T + offset
        losses.append(stepped(layer, A).reconstruction.item())
    assert losses[-1] < 1e-3


def test_gradients_of_both_penalties_reach_the_activations():
    layer = LRLayer(M, K)
    stepped(layer, activations(0))
    A = activations(1).requires_grad_()
    layer(A)
    sum(layer.penalty()).backward()
    expected = activations(1).requires_grad_()
    sum(dense_twin(layer).penalties(expected)).backward()
    assert torch.allclose(A.grad, expected.grad, rtol=1e-4, atol=1e-6)


def test_nothing_dense_is_formed():
    layer = LRLayer(200_000, 4)  # a dense W would take 160 GB
    stepped(layer, torch.randn(8, 200_000))
    assert {tuple(buffer.shape) for buffer in layer.buffers()} == {(4, 200_000), (4, 4), (200_000,)}


@pytest.mark.parametrize("training", [True, False])
def test_forward_is_unchanged_bit_for_bit(training):
    bare, layered = conv_net().train(training), conv_net().train(training)
    attach_lr_layers(layered, {"2": 20, "3.1": 4})
    for seed in range(3):
        x = torch.randn(9, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(bare(x), layered(x))
        if training:
            layered.lr_layers.penalty()
            layered.lr_layers.update()
    for name, tensor in bare.state_dict().items():
        assert torch.equal(tensor, layered.state_dict()[name])


def test_attached_layers_take_any_shape_and_train_together():
    model = attach_lr_layers(conv_net(), {"2": 20, "3.1": 4}, lambda_2=0.0)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    x = torch.randn(32, 3, 8, 8)
    losses = []
    for _ in range(30):
        model(x)
        loss = model.lr_layers.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.lr_layers.update()
        losses.append(loss.item())
    assert model.lr_layers["2"].features == 216
    assert model.lr_layers["3.1"].features == 16
    assert losses[-1] < 0.5 * losses[0]


def test_layers_are_quiet_in_evaluation_and_when_switched_off():
    model = attach_lr_layers(conv_net(), {"3": 4}).eval()
    x = torch.randn(4, 3, 8, 8)
    model(x)
    assert model.lr_layers.penalty() == 0
    model.train().lr_layers.enable(enabled=False)
    model(x)
    assert model.lr_layers.penalty() == 0
    model.lr_layers.update()
    assert model.lr_layers["3"].updates == 0


def test_a_pass_without_penalty_is_forgotten():
    model = attach_lr_layers(conv_net(), {"3": 4})
    model(torch.randn(4, 3, 8, 8))
    x = torch.randn(5, 3, 8, 8)
    model(x)
    model.lr_layers.penalty()
    assert [len(batch.shifted) for batch in model.lr_layers["3"].batches] == [5]


def test_a_copy_has_its_own_layers_and_a_pickle_returns():
    model = attach_lr_layers(conv_net(), {"3": 4})
    model(torch.randn(4, 3, 8, 8))
    model.lr_layers.penalty()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        before = model.lr_layers["3"].weight
        twin(torch.randn(4, 3, 8, 8))
        twin.lr_layers.penalty()
        twin.lr_layers.update()
        assert twin.lr_layers["3"].updates == 1
        assert model.lr_layers["3"].updates == 0
        assert torch.equal(model.lr_layers["3"].weight, before)


def test_state_dict_round_trip_before_the_first_batch_is_seen():
    model = attach_lr_layers(conv_net(), {"2": 20})
    model(torch.randn(4, 3, 8, 8))
    model.lr_layers.penalty()
    model.lr_layers.update()
    fresh = attach_lr_layers(conv_net(), {"2": 20})
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.lr_layers["2"].weight, model.lr_layers["2"].weight)
    assert fresh.lr_layers["2"].updates == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LRLayer(8, 0), ValueError, "rank must be at least 1"),
        (lambda: LRLayer(8, 9), ValueError, "rank 9 is larger than the 8 features"),
        (lambda: LRLayer(8, 2, "svd"), ValueError, "exact, nystrom, subspace"),
        (lambda: LRLayer(8, 2, lambda_1=-1), ValueError, "lambda_1"),
        (lambda: LRLayer(8, 2, lambda_2=float("nan")), ValueError, "lambda_2"),
        (lambda: LRLayer(8, 2, step=1.5), ValueError, "step"),
        (lambda: LRLayer(8, 2, every=0), ValueError, "every"),
        (lambda: attach_lr_layers(conv_net(), {}), ValueError, "no layer named"),
        (lambda: attach_lr_layers(conv_net(), {"layer9": 4}), AttributeError, "layer9"),
        (lambda: attach_lr_layers(attach_lr_layers(conv_net(), {"3": 4}), {"2": 4}), ValueError, "already"),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_activations_that_diverged_are_said_to_have():
    layer = LRLayer(M, K)
    layer(torch.full((N, M), float("nan")))
    with pytest.raises(FloatingPointError, match="NaN"):
        layer.penalty()


def test_the_subspace_is_what_w_reaches():
    """Where the factor's coefficients are singular, its rows span more than W does."""
    torch.manual_seed(0)
    model = attach_lr_layers(nn.Sequential(nn.Flatten(), nn.Linear(8, 8)), {"1": 3})
    layer = model.lr_layers["1"]
    model.train()
    model(torch.randn(16, 8))
    model.lr_layers.penalty()
    layer.mix = torch.diag(torch.tensor([1.0, 1.0, 0.0]))
    basis, _ = subspace_at(model, "1")
    assert basis.shape == (2, 8)
    assert torch.allclose(layer.weight @ basis.T @ basis, layer.weight, atol=1e-5)
    assert torch.linalg.matrix_rank(layer.weight) == 2


PROJECTIONS = ["exact", "nystrom", "subspace"]
BRANCHES = pytest.mark.parametrize("gpu_s", [False, True], ids=["the CPU's way", "a GPU's way"])


@pytest.mark.parametrize("m", [12, M])
@pytest.mark.parametrize("projection", ["exact", "nystrom", "subspace"])
def test_activations_that_have_diverged_are_told(projection, m):
    layer = LRLayer(m, K, projection)
    stepped(layer, activations(0, m=m))
    with pytest.raises(FloatingPointError, match="the activations behind it have diverged"):
        stepped(layer, torch.full((N, m), torch.nan))


@BRANCHES
@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e8])
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_w_follows_activations_of_any_size(monkeypatch, projection, scale, gpu_s):
    monkeypatch.setattr(devices, "on_cpu", lambda _values: not gpu_s)
    layer, plain = LRLayer(M, K, projection), LRLayer(M, K, projection)
    for seed in range(4):
        stepped(layer, scale * activations(seed))
        stepped(plain, activations(seed))
    # b, which starts at 0, is as small or large as they are.
    assert (layer.weight - plain.weight).norm() <= 0.02 * plain.weight.norm()


@BRANCHES
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_activations_of_0_leave_numbers_behind(monkeypatch, projection, gpu_s):
    monkeypatch.setattr(devices, "on_cpu", lambda _values: not gpu_s)
    layer = LRLayer(M, K, projection)
    for _ in range(3):
        stepped(layer, torch.zeros(N, M))
    assert all(torch.tensor(figure).isfinite() for figure in layer.state())


@BRANCHES
def test_the_gram_matrix_is_the_factor_s_also_where_a_decomposition_was_smoothed(monkeypatch, gpu_s):
    monkeypatch.setattr(devices, "on_cpu", lambda _values: not gpu_s)
    failures = iter([True])
    real = torch.linalg.eigh

    def failing(W):
        if next(failures, False):
            raise torch.linalg.LinAlgError
        return real(W)

    layer = LRLayer(M, K)
    stepped(layer, activations(0))
    monkeypatch.setattr(torch.linalg, "eigh", failing)
    stepped(layer, activations(1))
    factor = layer.factored.factor
    assert (factor.T @ factor - layer.gram).norm() <= 1e-4 * layer.gram.norm()


def test_what_follows_in_place_does_not_change_what_is_penalised():
    x = torch.rand(12, 3, 8, 8)
    found = []
    for inplace in (True, False):
        net = InPlace(inplace)
        layers = attach_lr_layers(net, {"norm": 3, "second": 3}).lr_layers
        layers.enable()
        net(x)
        found.append([torch.stack(pair) for pair in layers.penalties().values()])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
