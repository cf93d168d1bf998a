"""What attacks say that they cost, held against the passes that they make."""

from importlib.util import find_spec

import pytest
import torch
from support.models import net_of
from support.takers import EPS, LITTLE, attack
from torch import nn

from lrbench.attacks import APGD, FAB, PGD, Attack, AutoAttack, Square, TargetedAPGD, UniformNoise
from lrbench.attacks.cost import FORWARD, GRADIENT, LOOK, Passes, passes_of
from lrbench.attacks.external import factory_of
from lrbench.attacks.passes import PACES, Pace
from lrbench.catalogue import ATTACKS

X = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.zeros(4, dtype=torch.long)

OURS = {name: attack(name) for name in LITTLE if ATTACKS[name].declared is not None}
MORE = {
    "pgd, stop": PGD(EPS, steps=3, restarts=2, stop=True),
    "pgd, stop, bfloat16": PGD(EPS, steps=3, precision="bfloat16", stop=True),
    "pgd, restarts and eot": PGD(EPS, steps=3, restarts=2, eot=3),
    "apgd, restarts and eot": APGD(EPS, steps=3, restarts=2, eot=3),
    "apgd in l1": APGD(1.0, steps=10, norm="l1", restarts=2),
    "apgd in l1 at one radius": APGD(1.0, steps=10, norm="l1", larger_radii=False),
    "autoattack in l1": AutoAttack(1.0, norm="l1", steps=3, targets=7, queries=5),
    "fab, restarts": FAB(steps=3, targets=2, restarts=2, searches=0),
    "fab without targets": FAB(steps=3, targeted=False),
    "autoattack plus": AutoAttack(EPS, version="plus", steps=3, targets=2, queries=5),
    "autoattack rand": AutoAttack(EPS, version="rand", steps=2),
    "apgd, bfloat16": APGD(EPS, steps=3, restarts=2, eot=3, precision="bfloat16"),
    "apgd in l1, bfloat16": APGD(1.0, steps=10, norm="l1", restarts=2, precision="bfloat16"),
    "apgd-t, bfloat16": TargetedAPGD(EPS, steps=3, targets=2, precision="bfloat16"),
    "square, bfloat16": Square(EPS, queries=7, precision="bfloat16"),
    "fab, bfloat16": FAB(steps=3, targets=2, enough=EPS, precision="bfloat16"),
    "autoattack, bfloat16": AutoAttack(EPS, steps=3, targets=2, queries=5, precision="bfloat16"),
    "apgd-t, nearest": TargetedAPGD(EPS, steps=3, targets=2, loss="margin", order="nearest"),
    "a single draw": UniformNoise(EPS),
}


class Unmoved(nn.Module):
    """Gives class 0 whatever is done to an image, with gradients, and counts the images that pass either way."""

    def __init__(self):
        super().__init__()
        self.net = net_of((3, 8, 8), 10)
        self.forwards = self.backwards = 0

    def forward(self, x):
        self.forwards += len(x)
        logits = self.net(x) + 1e3 * torch.nn.functional.one_hot(Y[:1], 10)
        if logits.requires_grad:
            logits.register_hook(self._back)
        return logits

    def _back(self, gradient):
        self.backwards += len(gradient)


@pytest.mark.parametrize("name", [*OURS, *MORE])
def test_an_attack_costs_what_it_says_on_images_that_withstand_it(name, monkeypatch):
    # Points tried ahead of their turn, some of them in vain, are not counted.
    monkeypatch.setitem(PACES, "cpu", Pace(width=64, full=1, every=1))
    made, model = (OURS | MORE)[name], Unmoved().eval()
    made.run(model, X, Y)
    passes = made.passes
    assert (passes.forward, passes.backward) == (model.forwards / len(X), model.backwards / len(X))


class Wavering(Unmoved):
    """In bfloat16 gives some other class at every point that it has not seen, and in float32 class 0."""

    def forward(self, x):
        logits = super().forward(x)
        return logits.flip(1) + len(x) * self.forwards if torch.is_autocast_enabled("cpu") else logits


@pytest.mark.parametrize("name", [name for name in MORE if "bfloat16" in name and "fab" not in name])
def test_at_most_every_point_is_asked_twice_in_bfloat16(name, monkeypatch):
    monkeypatch.setitem(PACES, "cpu", Pace(width=64, full=1, every=1))
    made, model = MORE[name], Wavering().eval()
    found = made.run(model, X, Y)
    assert (model(found).argmax(dim=1) == Y).all()
    forward, backward = model.forwards / len(X) - 1, model.backwards / len(X)
    assert made.passes.forward < forward <= made.most.forward
    assert backward == made.most.backward == made.passes.backward
    if "autoattack" not in name and "square" not in name:
        assert forward == made.most.forward


@pytest.mark.parametrize(
    ("name", "options", "passes"),
    [
        ("torchattacks:PGD", {}, 10 * GRADIENT),
        ("torchattacks:PGD", {"steps": 7}, 7 * GRADIENT),
        ("torchattacks:FGSM", {}, GRADIENT),
        ("torchattacks:Square", {"n_queries": 100}, 100 * LOOK),
        ("foolbox:LinfPGD", {}, 40 * GRADIENT),
        ("art:ProjectedGradientDescentPyTorch", {"max_iter": 5}, 5 * GRADIENT),
        pytest.param(
            "adv-lib:pgd_linf",
            {"steps": 7, "restarts": 2},
            14 * GRADIENT,
            marks=pytest.mark.skipif(find_spec("adv_lib") is None, reason="adv-lib is not installed"),
        ),
        ("art:HopSkipJump", {"max_iter": 2, "init_eval": 50}, 100 * LOOK),
    ],
)
def test_another_library_s_attack_costs_what_follows_from_its_options(name, options, passes):
    assert factory_of(name)(eps=EPS, **options).passes == passes


def test_an_attack_that_says_nothing_costs_what_its_attributes_say():
    class Mine(Attack):
        def run(self, model, x, y):  # noqa: ARG002
            return x

    made = Mine()
    assert made.passes == GRADIENT
    made.steps, made.restarts, made.queries = 5, 3, 10
    assert made.passes == Passes(forward=25, backward=15)
    made.steps = None
    assert made.passes == 10 * LOOK
    assert passes_of({"steps": True, "queries": -3}, gradients=True) == GRADIENT


@pytest.mark.parametrize("said", [2, 2.0, 2 * GRADIENT])
def test_what_somebody_s_attack_says_is_read_as_a_number_or_as_passes(said):
    assert Passes.read(said) == Passes(2, 2)


@pytest.mark.parametrize("said", [float("nan"), float("inf")])
def test_what_is_no_number_of_passes_counts_as_one(said):
    assert Passes.read(said) == GRADIENT


def test_passes_forwards_and_back_are_one_of_work():
    assert GRADIENT.work == 1
    assert LOOK.work == FORWARD
    assert Passes.sum([3 * LOOK, GRADIENT]).total == 5
