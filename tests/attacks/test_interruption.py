"""Who waits for an attack can end it between two passes."""

import pytest
import torch

from lrbench.attacks import APGD, FAB, PGD, AutoAttack, CarliniWagner, DeepFool, IterFSGM, Square
from lrbench.attacks.interruption import before_each_pass
from lrbench.diagnostics.masking import examine

EPS = 8 / 255


class Stop:
    def __init__(self, after):
        self.left = after

    def __call__(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "attack",
    [
        IterFSGM(EPS),
        PGD(EPS, steps=20),
        APGD(EPS, steps=20),
        FAB(steps=20),
        Square(EPS, queries=50),
        DeepFool(steps=20),
        CarliniWagner(steps=20),
        AutoAttack(EPS),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_an_attack_ends_at_the_next_pass(small_net, batch, attack):
    x, passes = batch[0], []
    with torch.no_grad():
        y = small_net(x).argmax(1)
    small_net.train()
    before = {name: value.clone() for name, value in small_net.state_dict().items()}
    handle = small_net.conv1.register_forward_hook(lambda *_: passes.append(1))
    with before_each_pass(Stop(2)), pytest.raises(KeyboardInterrupt):
        attack(small_net, x, y)
    handle.remove()
    assert small_net.training
    assert all(parameter.requires_grad for parameter in small_net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in small_net.state_dict().items())
    # Passes that look the model over come before.
    assert len(passes) <= 2 + 12


def test_so_do_the_attacks_of_checks(small_net, batch):
    with before_each_pass(Stop(10)), pytest.raises(KeyboardInterrupt):
        examine(small_net, *batch, eps=EPS)


def test_nobody_is_asked_outside(small_net, batch):
    stop = Stop(3)
    with before_each_pass(stop):
        pass
    PGD(EPS, steps=5)(small_net, *batch)
    assert stop.left == 3
