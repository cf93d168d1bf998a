import copy
import ctypes
import resource
import sys

import pytest
import torch
from torch import nn

from lrbench.attacks import IterFSGM
from lrbench.attacks.memory import memory_kept
from lrbench.attacks.prepared import Prepared, prepared
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18, resnet50


def norms(net):
    return sum(type(module) is nn.BatchNorm2d for module in net.modules())


def settled(net, seed=0):
    """Batch-norm statistics and weights that are not the initial ones."""
    torch.manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    return net


@pytest.mark.parametrize("build", [resnet18, resnet50])
def test_batch_norm_is_folded_and_the_logits_and_gradients_stay(build):
    model = settled(Classifier(build(10, 3, width=8), (0.5,) * 3, (0.2,) * 3)).train()
    before = copy.deepcopy(model.state_dict())
    x = torch.rand(4, 3, 16, 16)
    with prepared(model, x) as fast:
        assert norms(fast) == 0
        assert not any(parameter.requires_grad for parameter in fast.parameters())
        model.eval()
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        ours, theirs = fast(a), model(b)
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
        (g,), (h,) = torch.autograd.grad(ours.sum(), a), torch.autograd.grad(theirs.sum(), b)
        assert torch.allclose(g, h, rtol=1e-3, atol=1e-4 * h.abs().max().item())
        model.train()
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert norms(model) > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_network_with_lr_layers_is_folded_too():
    model = attach_lr_layers(settled(resnet18(10, 3, width=4)), {"layer3": 4, "avgpool": 3})
    x = torch.rand(4, 3, 16, 16)
    with prepared(model, x) as fast:
        assert norms(fast) == 0
        assert torch.allclose(fast(x), model(x), atol=1e-4)


def test_an_attack_finds_the_same_with_and_without_folding(monkeypatch):
    model = settled(resnet18(10, 3, width=8)).eval()
    x, y = torch.rand(8, 3, 16, 16), torch.arange(8)
    folded = IterFSGM(4 / 255)(model, x, y)
    assert folded.is_contiguous()
    monkeypatch.setattr(sys.modules["lrbench.attacks.prepared"], "_folded", lambda model, _x: model)
    plain = IterFSGM(4 / 255)(model, x, y)
    assert ((folded - plain).abs() > 1e-6).float().mean() < 2e-3
    with torch.no_grad():
        assert torch.equal(model(folded).argmax(dim=1), model(plain).argmax(dim=1))


class PreActivation(nn.Module):
    """The convolution's output goes to a batch norm and, past it, to a sum."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), settled(nn.BatchNorm2d(4)), nn.Linear(4, 10)

    def forward(self, x):
        x = self.conv(x)
        return self.fc((x + self.norm(x).relu()).mean(dim=(2, 3)))


class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), settled(nn.BatchNorm2d(4)), nn.Linear(4, 10)

    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.fc((x + torch.randn_like(x)).mean(dim=(2, 3)))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 3, 3, padding=1), settled(nn.BatchNorm2d(3)), nn.Linear(3, 10)

    def forward(self, x):
        return self.fc(self.norm(self.conv(self.norm(self.conv(x)))).mean(dim=(2, 3)))


class NotCopied(Random):
    def __deepcopy__(self, memo):
        raise TypeError


def watched():
    net = settled(resnet18(10, 3, width=4))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _m, _i, output: output * 2)
    return net


@pytest.mark.parametrize("build", [PreActivation, Random, Twice, NotCopied, watched])
def test_what_cannot_be_folded_is_used_as_it_is(build):
    model = build().eval()
    with prepared(model, torch.rand(4, 3, 16, 16)) as fast:
        assert fast.net is model


def test_a_prepared_model_is_not_prepared_again(small_net, batch):
    with prepared(small_net, batch[0]) as fast, prepared(fast, batch[0]) as again:
        assert isinstance(fast, Prepared)
        assert again is fast


@pytest.mark.slow
def test_a_compiled_model_gives_the_same_logits(small_net, batch):
    x, _ = batch
    with torch.no_grad(), prepared(small_net, x, compiled=True) as fast:
        assert torch.allclose(fast(x), small_net(x), atol=1e-5)


def test_a_model_that_reads_its_batch_norm_is_used_as_it_is():
    class Peek(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)

        def forward(self, x):
            return self.fc((self.norm(self.conv(x)) * self.norm.weight.mean()).mean(dim=(2, 3)))

    model, x = settled(Peek()).eval(), torch.rand(3, 3, 8, 8)
    with prepared(model, x) as fast:
        assert fast.net is model
        assert torch.equal(fast(x), model(x))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library keeps memory as it likes")
def test_a_pass_reuses_the_memory_of_the_one_before():
    def least():
        # Whoever does not reuse memory never does; a kernel that is short of it takes some back now and then.
        return min(faults(10) for _ in range(3))

    def faults(passes):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(passes):
            model(x)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    model, x = settled(resnet18(10, 3, width=8)).eval(), torch.rand(32, 3, 32, 32)
    with torch.no_grad(), memory_kept():
        faults(3)
        with memory_kept():
            assert least() < 10 * 50, "of more than a thousand pages a pass"
        assert least() < 10 * 50
