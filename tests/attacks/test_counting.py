"""Passes that are counted, held against a hook on the model itself and on the copies that are made of it."""

import pytest
import torch
from support.takers import EPS, LITTLE, attack
from torch import nn

from lrbench.attacks import APGD, FAB, PGD, AutoAttack, Square
from lrbench.attacks.counting import counted
from lrbench.attacks.external import factory_of
from lrbench.attacks.prepared import prepared

MORE = {
    "pgd that stops": PGD(EPS, steps=4, restarts=2, stop=True),
    "pgd in bfloat16": PGD(EPS, steps=3, precision="bfloat16"),
    "apgd with restarts and eot": APGD(EPS, steps=3, restarts=2, eot=2),
    "fab without targets": FAB(steps=3, targeted=False),
    "square in l2": Square(0.5, 40, norm="l2"),
    "apgd in bfloat16": APGD(EPS, steps=3, restarts=2, precision="bfloat16"),
    "autoattack in bfloat16": AutoAttack(EPS, steps=3, targets=2, queries=5, precision="bfloat16"),
    "autoattack fast": AutoAttack(EPS, version="fast", steps=3, targets=2, queries=5),
    "autoattack plus": AutoAttack(EPS, version="plus", steps=3, targets=2, queries=5),
    "torchattacks": factory_of("torchattacks:PGD")(eps=EPS, steps=3),
    "foolbox": factory_of("foolbox:LinfPGD")(eps=EPS, steps=3),
    "foolbox, minimal": factory_of("foolbox:LinfDeepFoolAttack")(steps=3),
    "art": factory_of("art:ProjectedGradientDescentPyTorch")(eps=EPS, max_iter=3),
}


class Hook:
    """Counts what leaves the module that it is on, and the copies of it."""

    def __init__(self):
        self.forward = self.backward = 0

    def __call__(self, _module, _inputs, logits):
        self.forward += len(logits)
        if logits.requires_grad:
            logits.register_hook(self.back)

    def back(self, gradient):
        self.backward += len(gradient)

    def __deepcopy__(self, memo):
        return self


@pytest.fixture
def net():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 10)]
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("name", [*LITTLE, *MORE])
def test_counted_passes_are_those_that_a_hook_on_the_model_sees(net, name, count):
    made = MORE[name] if name in MORE else attack(name)
    x = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y = net(x).argmax(dim=1)
    hook = Hook()
    net.register_forward_hook(hook)
    with prepared(net, x) as fast:
        assert fast.net is not net, "batch norm is folded in a copy"
        hook.forward = hook.backward = 0
        with counted() as found:
            made(fast, x, y)
    assert (found.forward, found.backward) == (hook.forward, hook.backward)
    if name == "pgd":
        assert (found.each(count).forward, found.each(count).backward) == (2, 2)


def test_a_block_counts_its_own_passes(net):
    x = torch.rand(4, 3, 8, 8)
    with prepared(net, x) as fast, counted() as outer:
        fast(x)
        with counted() as inner:
            fast(x[:2])
        fast(x[:1])
    assert (inner.forward, outer.forward) == (2, 5)
    fast(x)
    assert outer.forward == 5
