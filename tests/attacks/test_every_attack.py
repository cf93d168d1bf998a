"""What every attack must do: those of the catalogue, some of them with other options, and those of other libraries."""

import copy
from importlib.util import find_spec

import pytest
import torch
from support.takers import EPS, LITTLE, attack, norm_of
from torch import nn

from lrbench.attacks import APGD, FAB, FMN, PGD, AutoAttack, DeepFool, IterFSGM, Square, TargetedAPGD, UniformNoise
from lrbench.attacks.adapted import ExternalAttack
from lrbench.attacks.external import factory_of
from lrbench.attacks.geometry import length
from lrbench.catalogue import ATTACKS as CATALOGUE

ATTACKS = {name: attack(name) for name in LITTLE if CATALOGUE[name].declared is not None}
ATTACKS |= {
    "adaptive-lr": attack("adaptive-lr", layer="conv2"),
    "iter-fsgm-small-steps": IterFSGM(EPS, step_size=EPS / 4, steps=6),
    "apgd-dlr-restarts": APGD(EPS, steps=8, loss="dlr", restarts=2),
    "apgd-l2": APGD(0.5, steps=8, norm="l2"),
    "apgd-l1": APGD(2.0, steps=8, norm="l1"),
    "square-l2": Square(0.5, queries=40, norm="l2"),
    "square-l1": Square(2.0, queries=40, norm="l1"),
    "pgd-margin-restarts": PGD(EPS, steps=4, loss="margin", restarts=3),
    "pgd-dlr": PGD(EPS, steps=5, loss="dlr"),
    "pgd-l2": PGD(0.5, steps=5, norm="l2"),
    "pgd-l1": PGD(2.0, steps=5, norm="l1"),
    "pgd-bfloat16": PGD(EPS, steps=5, precision="bfloat16"),
    "pgd-stop-bfloat16": PGD(EPS, steps=5, stop=True, precision="bfloat16"),
    "apgd-bfloat16": APGD(EPS, steps=8, precision="bfloat16"),
    "apgd-l1-bfloat16": APGD(2.0, steps=8, norm="l1", precision="bfloat16"),
    "square-bfloat16": Square(EPS, queries=40, precision="bfloat16"),
    "fab-bfloat16": FAB(steps=6, targets=3, precision="bfloat16"),
    "autoattack-bfloat16": AutoAttack(EPS, steps=5, targets=2, queries=20, precision="bfloat16"),
    "iter-fsgm-bfloat16": IterFSGM(EPS, precision="bfloat16"),
    "pgd-eot": PGD(EPS, steps=4, eot=2),
    "autoattack-l2": AutoAttack(0.5, norm="l2", steps=5, targets=2, queries=20),
    "apgd-t-nearest": TargetedAPGD(EPS, 8, targets=2, loss="margin", order="nearest"),
    "autoattack-fast": AutoAttack(EPS, version="fast", steps=5, targets=2, queries=20),
    "autoattack-l1": AutoAttack(2.0, norm="l1", steps=5, targets=2, queries=20),
    "deepfool-linf": DeepFool("linf", steps=8),
    "fab-l2": FAB("l2", steps=6, targets=3),
    "fab-l1": FAB("l1", steps=6, targets=3),
    "fmn-l1": FMN("l1", steps=6),
    "uniform-noise-l2": UniformNoise(0.5, 2, norm="l2"),
    "uniform-noise-l1": UniformNoise(2.0, 2, norm="l1"),
    "art": factory_of("art:ProjectedGradientDescentPyTorch")(eps=EPS, eps_step=EPS / 2, max_iter=4),
    "art-minimal": factory_of("art:HopSkipJump")(norm="l2", max_iter=2, max_eval=20, init_eval=5, one_by_one=True),
    "foolbox": factory_of("foolbox:LinfPGD")(eps=EPS, steps=4, random_start=False),
    "foolbox-minimal": factory_of("foolbox:L2DeepFoolAttack")(norm="l2", steps=8),
    "torchattacks": factory_of("torchattacks:BIM")(eps=EPS, alpha=EPS / 2, steps=4),
}
if find_spec("adv_lib") is not None:
    ATTACKS |= {
        "adv-lib": factory_of("adv-lib:pgd_linf")(eps=EPS, steps=4, random_init=False),
        "adv-lib-minimal": factory_of("adv-lib:ddn")(steps=6, levels=None),
    }


WHOLE = {*LITTLE, "art", "foolbox", "torchattacks", "adv-lib"} & {*ATTACKS}
"""One of each attack: with these it is tried in each test run what has to do with batches, and not with options."""
EACH = [name if name in WHOLE else pytest.param(name, marks=pytest.mark.slow) for name in ATTACKS]


@pytest.fixture(params=ATTACKS)
def name(request):
    return request.param


@pytest.fixture(name="attack")
def one_attack(name):
    return ATTACKS[name]


def test_every_attack_of_the_catalogue_is_in_the_table():
    assert {entry.name for entry in CATALOGUE} == set(LITTLE)


def test_keeps_shape_dtype_ball_and_bounds(attack, small_net, batch):
    x, y = batch
    x_adv = attack(small_net, x, y)
    assert x_adv.shape == x.shape
    assert x_adv.dtype == x.dtype
    assert not x_adv.requires_grad
    if attack.kind == "bounded":
        assert length(x_adv - x, norm_of(attack)).max() <= attack.eps + 1e-6
    if attack.kind == "minimal":
        fooled = small_net(x_adv).argmax(dim=1) != y
        assert torch.equal(x_adv[~fooled], x[~fooled]), "what does not fool is not moved"
        assert torch.equal(x_adv[small_net(x).argmax(dim=1) != y], x[small_net(x).argmax(dim=1) != y])
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
        def __init__(self):
            super().__init__()
            self.net = small_net

        def forward(self, x):
            return self.net(x).detach()

    if not attack.needs_gradients:
        attack(Detached(), *batch)
        return
    # Another library says it in its own words.
    message = None if isinstance(attack, ExternalAttack) else "no gradient"
    with pytest.raises((RuntimeError, ValueError), match=message):
        attack(Detached(), *batch)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", EACH)
def test_memory_that_runs_out_halves_the_batch_and_changes_nothing(attack, small_net, batch):
    x, y = batch
    refused = []

    class Small(nn.Module):
        """Holds five images at most."""

        def __init__(self):
            super().__init__()
            self.net = small_net

        def forward(self, x):
            if len(x) > 5:
                refused.append(len(x))
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return self.net(x)

    found = attack(Small().eval(), x, y)
    # Passes over six may be filled up to eight.
    assert 12 in refused
    assert {6, 8} & set(refused)
    parts = torch.cat([attack(small_net, x[i : i + 3], y[i : i + 3]) for i in range(0, len(x), 3)])
    assert torch.equal(found, parts), "twelve, six, three images at a time"


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", EACH)
def test_an_attack_works_where_memory_holds_a_single_image_s_gradient(attack, small_net, batch):
    x, y = batch[0][:3], batch[1][:3]

    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net

        def forward(self, x):
            if len(x) > (1 if x.requires_grad else 4):
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return self.net(x)

    assert attack(Single().eval(), x, y).shape == x.shape
