import foolbox
import torch
import torchattacks

from lrbench.attacks import LinfPGD

EPS = 8 / 255


def test_pgd_equals_foolbox_and_torchattacks_without_a_random_start(small_net, batch):
    x, y = batch
    ours = LinfPGD(EPS, EPS / 4, steps=7, random_start=False)(small_net, x, y)
    theirs = torchattacks.PGD(small_net, eps=EPS, alpha=EPS / 4, steps=7, random_start=False)(x, y)
    assert (ours - theirs).abs().max() <= 1e-6
    attack = foolbox.attacks.LinfPGD(abs_stepsize=EPS / 4, steps=7, random_start=False)
    _, clipped, _ = attack(foolbox.PyTorchModel(small_net, (0, 1)), x, y, epsilons=EPS)
    assert (ours - clipped).abs().max() <= 1e-6


def test_the_random_start_is_uniform_in_the_ball_and_follows_the_global_seed(small_net, batch):
    x, y = batch
    attack = LinfPGD(EPS, steps=1, step_size=0.0)
    torch.manual_seed(3)
    start = attack(small_net, x, y)
    assert (start - x).abs().max() <= EPS + 1e-6
    inside = (x > EPS) & (x < 1 - EPS)
    offset = ((start - x) / EPS)[inside]
    assert abs(offset.mean()) < 0.06
    assert abs(offset.abs().mean() - 0.5) < 0.03
    torch.manual_seed(3)
    assert torch.equal(attack(small_net, x, y), start)
    assert not torch.equal(attack(small_net, x, y), start)
