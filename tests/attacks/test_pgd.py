import foolbox
import pytest
import torch
import torchattacks

from lrbench.attacks import FGSM, PGD, l2_dissimilarity
from lrbench.attacks.losses import margin

EPS = 8 / 255
EPS_L2 = 0.5


def test_pgd_equals_foolbox_and_torchattacks_without_a_random_start(small_net, batch):
    x, y = batch
    ours = PGD(EPS, EPS / 4, steps=7, random_start=False)(small_net, x, y)
    theirs = torchattacks.PGD(small_net, eps=EPS, alpha=EPS / 4, steps=7, random_start=False)(x, y)
    assert (ours - theirs).abs().max() <= 1e-6
    attack = foolbox.attacks.LinfPGD(abs_stepsize=EPS / 4, steps=7, random_start=False)
    _, clipped, _ = attack(foolbox.PyTorchModel(small_net, (0, 1)), x, y, epsilons=EPS)
    assert (ours - clipped).abs().max() <= 1e-6


def test_pgd_in_the_l2_ball_equals_foolbox_and_torchattacks(small_net, batch):
    x, y = batch
    ours = PGD(EPS_L2, 0.2, steps=7, norm="l2", random_start=False)(small_net, x, y)
    theirs = torchattacks.PGDL2(small_net, eps=EPS_L2, alpha=0.2, steps=7, random_start=False)(x, y)
    assert (ours - theirs).abs().max() <= 1e-5
    attack = foolbox.attacks.L2PGD(abs_stepsize=0.2, steps=7, random_start=False)
    _, clipped, _ = attack(foolbox.PyTorchModel(small_net, (0, 1)), x, y, epsilons=EPS_L2)
    assert (ours - clipped).abs().max() <= 1e-5
    assert (ours - x).flatten(1).norm(dim=1).max() <= EPS_L2


def test_fgsm_equals_foolbox_and_torchattacks(small_net, batch):
    x, y = batch
    ours = FGSM(EPS)(small_net, x, y)
    assert (ours - torchattacks.FGSM(small_net, eps=EPS)(x, y)).abs().max() <= 1e-6
    attack = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    _, clipped, _ = attack(foolbox.PyTorchModel(small_net, (0, 1)), x, y, epsilons=EPS)
    assert (ours - clipped).abs().max() <= 1e-6


def offsets(x, y, net, **options):
    start = PGD(EPS, steps=1, step_size=0.0, **options)(net, x, y)
    inside = (x > EPS) & (x < 1 - EPS)
    return start, ((start - x) / EPS)[inside]


def test_the_random_start_is_uniform_and_the_example_s_own(small_net, batch):
    x, y = batch
    start, offset = offsets(x, y, small_net)
    assert (start - x).abs().max() <= EPS + 1e-6
    assert abs(offset.mean()) < 0.06
    assert abs(offset.abs().mean() - 0.5) < 0.03
    order = torch.randperm(len(x))
    assert torch.equal(offsets(x[order], y[order], small_net)[0], start[order])
    assert not torch.equal(offsets(x, y, small_net, seed=1)[0], start)


def test_without_a_seed_every_call_draws_from_the_global_generator(small_net, batch):
    torch.manual_seed(3)
    first = offsets(*batch, small_net, seed=None)[0]
    assert not torch.equal(offsets(*batch, small_net, seed=None)[0], first)
    torch.manual_seed(3)
    assert torch.equal(offsets(*batch, small_net, seed=None)[0], first)


def test_a_random_start_in_the_l2_ball_is_uniform():
    x, y = torch.full((400, 1, 1, 3), 0.5), torch.zeros(400, dtype=torch.long)
    x = x + 1e-4 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3, 10))
    start = PGD(EPS_L2, steps=1, step_size=0.0, norm="l2", bounds=None)(linear, x, y)
    radius = (start - x).flatten(1).norm(dim=1) / EPS_L2
    assert radius.max() <= 1
    assert (radius**3).mean() == pytest.approx(0.5, abs=0.05), "in three dimensions the cube of the radius is uniform"


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_restarts_only_help(small_net, batch, norm):
    x, y = batch
    eps = {"linf": EPS / 2, "l2": 0.1, "l1": 0.3}[norm]

    def reached(restarts):
        x_adv = PGD(eps, steps=2, norm=norm, restarts=restarts)(small_net, x, y)
        with torch.no_grad():
            return margin(small_net(x_adv), y)

    one, many = reached(1), reached(6)
    assert (many >= one - 1e-6).all()
    assert (many > one).any()


def test_the_dlr_loss_sees_through_a_hidden_scale(small_net, batch):
    """With logits divided by 1e6 the cross-entropy's gradient drowns in rounding; its sign, and DLR, do not."""
    x, y = batch

    class Scaled(torch.nn.Module):
        def forward(self, inputs):
            return small_net(inputs) * 1e4

    y = small_net(x).argmax(dim=1)
    hidden = PGD(EPS, steps=5, random_start=False)(Scaled(), x, y)
    seen = PGD(EPS, steps=5, random_start=False, loss="dlr")(Scaled(), x, y)
    assert l2_dissimilarity(hidden, x).min() == 0, "saturated softmax: no gradient, nothing moves"
    assert l2_dissimilarity(seen, x).min() > 0
    with torch.no_grad():
        assert (margin(small_net(seen), y) > margin(small_net(hidden), y)).float().mean() > 0.5


def test_bfloat16_gradients_fool_as_many_of_a_trained_model(trained, held_out, fooled):
    x, y = held_out
    single, half = (
        fooled(trained, PGD(0.06, steps=10, precision=precision)(trained, x, y), y)
        for precision in ("float32", "bfloat16")
    )
    assert half == pytest.approx(single, abs=0.03)
    assert 0.1 < single < 0.95
