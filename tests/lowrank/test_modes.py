"""LR-Layers in the ways people train: accumulation, autocast, compilation, checkpoints, several processes."""

import io

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from support.nets import conv_net, images
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lrbench.child_processes import process_context, without_main
from lrbench.lowrank import LRLayer, attach_lr_layers

RANKS = {"2": 20, "3.1": 4}


def layered(seed=0, **options):
    return attach_lr_layers(conv_net(seed), RANKS, **options)


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)


def step(model, optimizer, batches, layers=None):
    """One optimiser step over micro-batches."""
    layers = model.lr_layers if layers is None else layers
    optimizer.zero_grad()
    for x, y in batches:
        loss = nn.functional.cross_entropy(model(x), y) + layers.penalty()
        (loss / len(batches)).backward()
    optimizer.step()
    layers.update()


def states(model):
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}


@pytest.mark.parametrize("projection", ["exact", "nystrom", "subspace"])
def test_training_from_a_checkpoint_between_two_steps_equals_training_straight_through(projection):
    straight = layered(projection=projection)
    optimizer = optimizer_of(straight)
    for seed in range(20):
        if seed == 9:
            saved = io.BytesIO()
            torch.save({"model": straight.state_dict(), "optimizer": optimizer.state_dict()}, saved)
        step(straight, optimizer, [images(16, seed)])
    resumed = layered(seed=1, projection=projection)
    optimizer = optimizer_of(resumed)
    saved.seek(0)
    checkpoint = torch.load(saved, weights_only=True)
    resumed.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    for seed in range(9, 20):
        step(resumed, optimizer, [images(16, seed)])
    assert straight.lr_layers["2"].updates == resumed.lr_layers["2"].updates == 20
    for name, tensor in states(straight).items():
        assert torch.equal(tensor, states(resumed)[name]), name


def test_accumulated_micro_batches_make_the_update_of_the_whole_batch():
    whole, parts = LRLayer(30, 4), LRLayer(30, 4)
    generator = torch.Generator().manual_seed(0)
    for layer in (whole, parts):
        layer(torch.randn(12, 30, generator=torch.Generator().manual_seed(5)))
        layer.penalty()
        layer.update()
    for _ in range(3):
        A = torch.randn(12, 30, generator=generator)
        whole(A)
        whole.penalty()
        for part in A.split(4):
            parts(part)
            parts.penalty()
        whole.update()
        parts.update()
        assert torch.allclose(whole.weight, parts.weight, atol=1e-5)
        assert torch.allclose(whole.bias, parts.bias, atol=1e-6)


def test_every_leaves_updates_out_but_no_penalty():
    layer = LRLayer(30, 4, every=3)
    changed = []
    for seed in range(7):
        layer(torch.randn(12, 30, generator=torch.Generator().manual_seed(seed)))
        assert layer.penalty().reconstruction > 0
        before = layer.weight
        layer.update()
        changed.append(not torch.equal(before, layer.weight))
    assert changed == [False, False, True, False, False, True, False]
    assert layer.updates == 2


def test_under_autocast_the_layer_keeps_its_own_precision():
    model = layered()
    y = images(16)[1]
    for seed in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(images(16, seed)[0])
            penalty = model.lr_layers.penalty()
        assert logits.dtype == torch.bfloat16
        assert penalty.dtype == torch.float32
        (nn.functional.cross_entropy(logits.float(), y) + penalty).backward()
        model.lr_layers.update()
    assert all(buffer.dtype == torch.float32 for buffer in model.lr_layers["2"].buffers())
    assert model.lr_layers["2"].updates == 3


def test_memory_format_does_not_matter():
    plain, channels_last = layered(), layered().to(memory_format=torch.channels_last)
    optimizers = [optimizer_of(plain), optimizer_of(channels_last)]
    for seed in range(3):
        x, y = images(16, seed)
        step(plain, optimizers[0], [(x, y)])
        step(channels_last, optimizers[1], [(x.to(memory_format=torch.channels_last), y)])
    assert torch.allclose(plain.lr_layers["2"].weight, channels_last.lr_layers["2"].weight, atol=1e-4)


def test_a_compiled_network_trains_like_the_network_itself():
    plain, model = layered(), layered()
    compiled = torch.compile(model, backend="aot_eager")
    optimizers = [optimizer_of(plain), optimizer_of(model)]
    for seed in range(4):
        step(plain, optimizers[0], [images(16, seed)])
        step(compiled, optimizers[1], [images(16, seed)], model.lr_layers)
    assert model.lr_layers["3.1"].updates == 4
    for name, tensor in states(plain).items():
        assert torch.allclose(tensor, states(model)[name], atol=1e-4), name


class Shared(nn.Module):
    """Calls one module twice and nests another in it."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(10, 10), nn.ReLU())

    def forward(self, x):
        return self.block(self.block(x))


def test_shared_and_nested_modules_are_seen_at_every_call():
    torch.manual_seed(0)
    model = attach_lr_layers(Shared(), {"block": 3, "block.0": 2})
    model(torch.randn(8, 10))
    model.lr_layers.penalty()
    assert [len(model.lr_layers[name].batches[0].shifted) for name in ("block", "block.0")] == [16, 16]
    model.lr_layers.update()
    assert model.lr_layers["block"].updates == model.lr_layers["block.0"].updates == 1


def group_norm(channels):
    """Sees one example at a time, so that splitting a batch changes nothing."""
    return nn.GroupNorm(2, channels)


def for_ranks():
    return attach_lr_layers(conv_net(norm=group_norm), RANKS)


def train_on_rank(rank, world, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    torch.set_num_threads(1)
    model = for_ranks()
    parallel = DistributedDataParallel(model)
    optimizer = optimizer_of(model)
    for seed in range(20):
        x, y = images(16, seed)
        step(parallel, optimizer, [(x.chunk(world)[rank], y.chunk(world)[rank])], model.lr_layers)
    torch.save(model.state_dict(), f"{folder}/rank-{rank}.pt")
    dist.destroy_process_group()


def test_two_data_parallel_processes_hold_the_same_w_and_that_of_one_process(tmp_path):
    process_context()  # its server has loaded torch
    with without_main():
        mp.start_processes(train_on_rank, args=(2, str(tmp_path)), nprocs=2, start_method="forkserver")
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    parallel, single = for_ranks(), for_ranks()
    parallel.load_state_dict(first)
    optimizer = optimizer_of(single)
    for seed in range(20):
        step(single, optimizer, [images(16, seed)])
    for name in RANKS:
        found, expected = parallel.lr_layers[name], single.lr_layers[name]
        assert found.updates == expected.updates == 20
        assert (found.weight - expected.weight).norm() <= 1e-3 * expected.weight.norm()
        assert torch.allclose(found.bias, expected.bias, atol=1e-4)
    for found, expected in zip(parallel.parameters(), single.parameters(), strict=True):
        assert torch.allclose(found, expected, atol=1e-4)
