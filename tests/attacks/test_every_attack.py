"""What every attack must do. A new attack joins by one line in `ATTACKS`."""

import copy

import pytest
import torch
from torch import nn

from lrbench.attacks import APGD, FGSM, PGD, IterFSGM, IterLLFSGM, Square, TargetedAPGD

EPS = 8 / 255
BLACK_BOX = (Square,)
ATTACKS = {
    "iter-fsgm": IterFSGM(EPS),
    "iter-ll-fsgm": IterLLFSGM(EPS),
    "iter-fsgm-small-steps": IterFSGM(EPS, step_size=EPS / 4, steps=6),
    "fgsm": FGSM(EPS),
    "apgd-ce": APGD(EPS, steps=12),
    "apgd-dlr-restarts": APGD(EPS, steps=8, loss="dlr", restarts=2),
    "apgd-t": TargetedAPGD(EPS, steps=8, targets=3),
    "square": Square(EPS, queries=40),
    "pgd": PGD(EPS, steps=5),
    "pgd-margin-restarts": PGD(EPS, steps=4, loss="margin", restarts=3),
    "pgd-dlr": PGD(EPS, steps=5, loss="dlr"),
}


@pytest.fixture(params=ATTACKS)
def attack(request):
    return ATTACKS[request.param]


def test_keeps_shape_dtype_ball_and_bounds(attack, small_net, batch):
    x, y = batch
    x_adv = attack(small_net, x, y)
    assert x_adv.shape == x.shape
    assert x_adv.dtype == x.dtype
    assert not x_adv.requires_grad
    assert (x_adv - x).abs().max() <= EPS + 1e-6
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1


def test_leaves_the_model_and_its_input_exactly_as_they_were(attack, small_net, batch):
    x, y = batch
    model = small_net.train()
    model.bn1.eval()  # a part that was frozen on purpose stays frozen
    model.fc.bias.requires_grad_(False)
    model.conv1.weight.grad = torch.ones_like(model.conv1.weight)
    model.conv2.register_forward_hook(lambda *_: None)
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    hooks = [len(module._forward_hooks) for module in model.modules()]
    x_before = x.clone()
    attack(model, x, y)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert torch.equal(model.conv1.weight.grad, torch.ones_like(model.conv1.weight))
    assert all(p.grad is None for name, p in model.named_parameters() if name != "conv1.weight")
    assert torch.equal(x, x_before)
    assert not x.requires_grad


def test_restores_the_model_when_it_fails(attack, small_net, batch):
    x, y = batch

    class Breaking(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net

        def forward(self, x):
            self.net(x)
            raise ZeroDivisionError

    model = Breaking().train()
    with pytest.raises(ZeroDivisionError):
        attack(model, x, y)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_is_deterministic_and_independent_of_the_batch(attack, small_net, batch):
    x, y = batch
    whole = attack(small_net, x, y)
    assert torch.equal(whole, attack(small_net, x, y))
    parts = [attack(small_net, x[i : i + 5], y[i : i + 5]) for i in range(0, len(x), 5)]
    # Convolutions may sum in another order for another batch size; that can turn the sign of a gradient near zero.
    assert ((whole - torch.cat(parts)).abs() > 1e-6).float().mean() < 1e-3


def test_works_in_no_grad_and_on_an_empty_batch(attack, small_net, batch):
    x, y = batch
    with torch.no_grad():
        inside = attack(small_net, x, y)
    assert torch.equal(inside, attack(small_net, x, y))
    assert attack(small_net, x[:0], y[:0]).shape == (0, 3, 8, 8)


def test_raises_the_loss_or_lowers_the_target_s(attack, small_net, batch):
    x, _ = batch
    y = small_net(x).argmax(dim=1)
    x_adv = attack(small_net, x, y)
    loss = nn.CrossEntropyLoss()
    assert loss(small_net(x_adv), y) > loss(small_net(x), y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, y: ((x * 255).to(torch.uint8), y), ValueError, "floating point"),
        (lambda x, y: (x, y[:-1]), ValueError, "one label per example"),
        (lambda x, y: (x * 2 - 1, y), ValueError, "outside the attack's bounds"),
    ],
)
def test_wrong_input_is_named(attack, small_net, batch, change, error, message):
    with pytest.raises(error, match=message):
        attack(small_net, *change(*batch))


def test_a_model_without_gradients_is_said_to_have_none(attack, small_net, batch):
    class Detached(nn.Module):
        def forward(self, x):
            return small_net(x).detach()

    if isinstance(attack, BLACK_BOX):
        assert not torch.equal(attack(Detached(), *batch), batch[0])
        return
    with pytest.raises(RuntimeError, match="no gradient"):
        attack(Detached(), *batch)
