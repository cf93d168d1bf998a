"""Attacks on a CUDA device: the promises that they keep on the CPU, and about the same outcome."""

import copy

import pytest
import torch
from support.takers import EPS, LITTLE, attack, norm_of

from lrbench.attacks import APGD, PGD, AdaptiveLR, AutoAttack
from lrbench.attacks.geometry import least_size
from lrbench.attacks.noise import Noise
from lrbench.attacks.passes import logits_of
from lrbench.attacks.precision import rounded_products
from lrbench.attacks.prepared import prepared
from lrbench.data import to_unit

pytestmark = pytest.mark.cuda

ATTACKS = {name: attack(name, layer="conv2") if name == "adaptive-lr" else attack(name) for name in LITTLE}
ATTACKS |= {
    "apgd-l2": APGD(0.5, steps=8, norm="l2"),
    "autoattack-l2": AutoAttack(0.5, norm="l2", steps=5, targets=2, queries=20),
    "pgd-stop": PGD(EPS, steps=5, stop=True, restarts=2),
    "pgd-bfloat16": PGD(EPS, steps=5, precision="bfloat16"),
}


SLOW = {"hopskipjump", "boundary"}
"""Image by image, by another library."""


@pytest.fixture(params=sorted(set(ATTACKS) - SLOW))
def each(request):
    return ATTACKS[request.param]


@pytest.fixture(autouse=True)
def _float32_is_float32():
    with rounded_products(allowed=False):
        yield


def misclassified(model, x, y):
    return logits_of(model, x).argmax(dim=1) != y


def test_every_attack_keeps_its_promises(each, gpu, small_net, batch):
    x, y = (tensor.to(gpu) for tensor in batch)
    model = small_net.to(gpu)
    before = copy.deepcopy(model.state_dict())
    x_adv = each(model, x, y)
    assert (x_adv.device, x_adv.dtype, x_adv.shape) == (x.device, x.dtype, x.shape)
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    if each.kind == "bounded":
        assert least_size(x_adv, x, norm_of(each)).max() <= each.eps
    elif each.kind == "minimal":
        moved = (x_adv != x).flatten(1).any(dim=1)
        assert misclassified(model, x_adv, y)[moved].all()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(x, batch[0].to(gpu))


def test_every_attack_finds_about_what_it_finds_on_the_cpu(each, gpu, trained, held_out):
    if isinstance(each, AdaptiveLR):
        each = attack("adaptive-lr", layer="layer3")
    x, y = held_out[0][:40], held_out[1][:40]
    here = misclassified(trained, each(trained, x, y), y)
    model = copy.deepcopy(trained).to(gpu)
    there = misclassified(model, each(model, x.to(gpu), y.to(gpu)), y.to(gpu)).cpu()
    assert (here != there).sum() <= 4


def test_random_numbers_and_inputs_are_those_of_the_cpu(gpu):
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_unit(levels.to(gpu)).cpu(), to_unit(levels))
    x = to_unit(levels).view(2, 2, 8, 8)
    assert torch.equal(Noise(x.to(gpu), 3).normal(2, 8, 8).cpu(), Noise(x, 3).normal(2, 8, 8))


@pytest.mark.parametrize("tf32", [False, True])
def test_batch_norm_is_folded_here_too(gpu, trained, held_out, tf32):
    model = copy.deepcopy(trained).to(gpu)
    with rounded_products(allowed=tf32):
        with prepared(model, held_out[0][:8].to(gpu)) as lent:
            assert lent.net is not lent.original, "the folded copy was not used"
        assert torch.backends.cudnn.allow_tf32 == tf32


def test_the_same_attack_twice_is_the_same(gpu, small_net, batch):
    x, y = (tensor.to(gpu) for tensor in batch)
    model = small_net.to(gpu)
    whole = ATTACKS["autoattack"](model, x, y)
    assert torch.equal(whole, ATTACKS["autoattack"](model, x, y))
