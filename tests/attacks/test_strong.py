"""APGD and Square against their reference implementation on a trained model, and what sets them apart from PGD."""

import pytest
import torch
import torchattacks

from lrbench.attacks import APGD, FGSM, PGD, Square, TargetedAPGD
from lrbench.attacks.apgd import checkpoints
from lrbench.attacks.losses import margin
from lrbench.data import to_unit
from lrbench.leaderboard import wilson
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

EPS = 0.1


@pytest.fixture(scope="module")
def trained(digits):
    with seeded(0):
        model = Classifier(resnet18(10, 1, width=8), *digits.statistics)
        train(model, digits.train, Training(epochs=4, batch_size=64, learning_rate=0.05), seed=0)
    return model.eval()


@pytest.fixture(scope="module")
def held_out(digits):
    split = digits.test.balanced(150)
    return to_unit(split.images), split.labels


def fooled(model, x_adv, y):
    with torch.no_grad():
        return (model(x_adv).argmax(dim=1) != y).float().mean().item()


def agree(one, other, n=150):
    """Neither rate lies outside the other's 95 % interval."""
    low, high = wilson(other, n)
    return low <= one <= high


def test_checkpoints_are_the_paper_s():
    assert checkpoints(100)[:5] == [22, 41, 57, 70, 80]
    assert all(place <= 100 for place in checkpoints(100))
    assert checkpoints(1) == [1]


@pytest.mark.parametrize("loss", ["cross-entropy", "dlr"])
def test_apgd_succeeds_as_often_as_torchattacks_s(trained, held_out, loss):
    x, y = held_out
    ours = fooled(trained, APGD(EPS, steps=20, loss=loss)(trained, x, y), y)
    short = {"cross-entropy": "ce", "dlr": "dlr"}[loss]
    theirs = fooled(trained, torchattacks.APGD(trained, eps=EPS, steps=20, loss=short, seed=0)(x, y), y)
    assert agree(ours, theirs)
    assert 0.2 < ours < 0.98, "a radius at which the two could differ"


def test_targeted_apgd_succeeds_as_often_as_torchattacks_s(trained, held_out):
    x, y = held_out
    ours = fooled(trained, TargetedAPGD(EPS, steps=20)(trained, x, y), y)
    theirs = fooled(trained, torchattacks.APGDT(trained, eps=EPS, steps=20, n_classes=10, seed=0)(x, y), y)
    assert agree(ours, theirs)


def test_square_succeeds_as_often_as_torchattacks_s(trained, held_out):
    x, y = held_out
    ours = fooled(trained, Square(EPS, queries=200)(trained, x, y), y)
    theirs = fooled(trained, torchattacks.Square(trained, eps=EPS, n_queries=200, seed=0)(x, y), y)
    assert agree(ours, theirs)
    assert ours > fooled(trained, x, y) + 0.05


def test_stronger_attacks_are_stronger(trained, held_out):
    x, y = held_out
    single = fooled(trained, FGSM(EPS)(trained, x, y), y)
    iterated = fooled(trained, PGD(EPS, steps=20)(trained, x, y), y)
    auto = fooled(trained, APGD(EPS, steps=30, restarts=2)(trained, x, y), y)
    assert single < iterated
    assert iterated <= auto + 0.02


def test_what_was_found_on_the_path_is_returned(trained, held_out):
    """APGD gives the first adversarial point it meets, not where it ends."""
    x, y = held_out
    x_adv = APGD(EPS, steps=10)(trained, x, y)
    with torch.no_grad():
        again = APGD(EPS, steps=10, restarts=3)(trained, x, y)
        reached, later = margin(trained(x_adv), y), margin(trained(again), y)
    already = reached > 0
    assert torch.equal(again[already], x_adv[already]), "a restart leaves alone what is fooled"
    assert ((later > 0) >= already).all()


def test_dlr_towards_a_target_needs_four_classes():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    with pytest.raises(ValueError, match="at least 4 classes; this model has 3"):
        TargetedAPGD(0.1)(model, torch.rand(2, 1, 2, 2), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="works on images"):
        Square(0.1)(model, torch.rand(2, 4), torch.tensor([0, 1]))
