"""LR-Layers on a CUDA device: what the CPU gives, without making the host wait."""

import copy

import pytest
import torch
from support.nets import conv_net
from support.waiting import waits

from lrbench.attacks.precision import rounded_products
from lrbench.lowrank import LRLayer, attach_lr_layers, nystrom, truncate

pytestmark = pytest.mark.cuda

M, N, K = 96, 32, 8
PROJECTIONS = ("exact", "nystrom", "subspace")


def activations(seed):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(M, M, generator=torch.Generator().manual_seed(99))
    A = torch.randn(N, M, generator=generator) * torch.logspace(0, -3, M) @ mixing
    return A.relu() / M**0.5


def followed(layer, device, updates, dtype=torch.float32):
    layer = layer.to(device, dtype)
    for seed in range(updates):
        layer(activations(seed).to(device, dtype))
        penalty = layer.penalty()
        layer.update()
    return layer, penalty


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-9)])
def test_forty_updates_are_those_of_the_cpu(gpu, projection, dtype, tolerance):
    layer = LRLayer(M, K, projection)
    here, penalty = followed(copy.deepcopy(layer), "cpu", 40, dtype)
    there, other = followed(layer, gpu, 40, dtype)
    assert here.state().rank == there.state().rank
    if projection == "nystrom":
        # Of a spectrum without a gap two subspaces are about as good as each other.
        assert there.state().residual <= 1.02 * here.state().residual
        return
    assert (here.weight - there.weight.cpu()).norm() <= tolerance * here.weight.norm()
    assert torch.allclose(here.bias, there.bias.cpu(), atol=10 * tolerance)
    assert torch.allclose(penalty.reconstruction, other.reconstruction.cpu(), rtol=10 * tolerance)


@pytest.mark.parametrize("tf32", [False, True])
def test_subspace_keeps_to_its_bound_and_never_waits_but_for_what_arrived_long_ago(gpu, tf32):
    layer, _ = followed(LRLayer(M, K, "subspace"), gpu, 17)
    batches = [activations(seed).to(gpu) for seed in range(17, 47)]
    with rounded_products(allowed=tf32), waits() as found:
        for batch in batches:
            layer(batch)
            layer.penalty()
            layer.update()
    assert not found
    assert layer.state().projection_error < 0.02


def test_the_dense_projections_are_those_of_the_cpu(gpu):
    W = activations(0).T @ activations(0)
    columns = torch.arange(0, M, 4)
    for project in (lambda W: truncate(W, K), lambda W: nystrom(W, K, columns)):
        assert (project(W) - project(W.to(gpu)).cpu()).norm() <= 1e-3 * W.norm()


def test_a_state_goes_from_one_device_to_the_other(gpu):
    torch.manual_seed(0)
    net = attach_lr_layers(conv_net(), {"0": 4}, projection="subspace").to(gpu).train()
    x = torch.rand(16, 3, 8, 8, device=gpu)
    for _ in range(3):
        net(x)
        net.lr_layers.penalty()
        net.lr_layers.update()
    other = attach_lr_layers(conv_net(), {"0": 4}, projection="subspace")
    other.load_state_dict({name: value.cpu() for name, value in net.state_dict().items()})
    assert torch.equal(other.lr_layers["0"].bias, net.lr_layers["0"].bias.cpu())
    assert other.to(gpu).lr_layers["0"].state().rank == net.lr_layers["0"].state().rank
