"""APGD and Square against their reference implementation on a trained model, and what sets them apart from PGD."""

import pytest
import torch
import torchattacks

from lrbench.attacks import APGD, FGSM, PGD, AutoAttack, Square, TargetedAPGD
from lrbench.attacks.ascent import checkpoints
from lrbench.attacks.geometry import BALLS, length
from lrbench.attacks.losses import margin
from lrbench.attacks.noise import Noise
from lrbench.leaderboard import wilson

EPS = 0.1


def agree(one, other, n=150):
    """Neither rate lies outside the other's 95 % interval."""
    low, high = wilson(other, n)
    return low <= one <= high


def test_checkpoints_are_the_paper_s():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert all(place <= 100 for place in checkpoints(100))
    assert checkpoints(1) == [1]


def test_the_schedule_of_patches_is_the_standard_version_s():
    standard = AutoAttack(EPS).members["square"]
    assert [standard._side(query, 32, 32) for query in (0, 10, 11, 50, 51, 200, 201, 501, 1001, 4999)] == [
        29, 29, 20, 20, 14, 14, 10, 7, 5, 3,
    ]  # fmt: skip
    short = AutoAttack(EPS, queries=100).members["square"]
    assert short._side(99, 32, 32) == 14, "however few queries there are"
    assert Square(EPS, 100, patch=0.8)._side(99, 32, 32) == 1


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_versions_have_the_members_of_the_authors_code(norm):
    members = {version: AutoAttack(EPS, version=version, norm=norm).members for version in ("standard", "plus", "rand")}
    assert list(members["standard"]) == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert list(members["plus"]) == ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"]
    assert list(members["rand"]) == ["apgd-ce", "apgd-dlr"]
    sparse = norm == "l1"
    assert [members[version]["apgd-ce"].restarts for version in members] == [5 if sparse else 1, 5, 1]
    assert [members[version]["apgd-ce"].larger_radii for version in members] == [sparse, False, False]
    assert [members[version]["apgd-t"].targets for version in ("standard", "plus")] == [5 if sparse else 9, 9]
    assert members["standard"]["fab-t"].targets == 9
    assert [members[version]["apgd-ce"].eot for version in members] == [1, 1, 20]
    assert (members["plus"]["fab"].restarts, members["plus"]["fab"].targeted) == (5, False)
    for version in ("standard", "plus"):
        assert members[version]["square"].patch == 0.8
        assert members[version]["fab-t"].searches == 0
    with pytest.raises(ValueError, match="version must be one of standard, plus, rand, fast, got 'quick'"):
        AutoAttack(EPS, version="quick")


def test_apgd_starts_on_the_sphere():
    x = torch.full((5, 3, 8, 8), 0.5)
    for norm, eps in (("linf", EPS), ("l2", 1.0)):
        start = BALLS[norm].surface(x, eps, Noise(x, 0))
        assert torch.allclose(length(start - x, norm), torch.tensor(eps))


@pytest.mark.parametrize("loss", ["cross-entropy", "dlr"])
def test_apgd_succeeds_as_often_as_torchattacks_s(trained, held_out, fooled, loss):
    x, y = held_out
    ours = fooled(trained, APGD(EPS, steps=20, loss=loss)(trained, x, y), y)
    short = {"cross-entropy": "ce", "dlr": "dlr"}[loss]
    theirs = fooled(trained, torchattacks.APGD(trained, eps=EPS, steps=20, loss=short, seed=0)(x, y), y)
    assert agree(ours, theirs)
    assert 0.2 < ours < 0.98, "a radius at which the two could differ"


def test_targeted_apgd_succeeds_as_often_as_torchattacks_s(trained, held_out, fooled):
    x, y = held_out
    ours = fooled(trained, TargetedAPGD(EPS, steps=20)(trained, x, y), y)
    theirs = fooled(trained, torchattacks.APGDT(trained, eps=EPS, steps=20, n_classes=10, seed=0)(x, y), y)
    assert agree(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "eps", "patch"), [("linf", EPS, 0.8), ("l2", 1.0, 0.1)])
def test_square_succeeds_as_often_as_torchattacks_s(trained, held_out, fooled, norm, eps, patch):
    x, y = held_out
    ours = fooled(trained, Square(eps, queries=200, norm=norm)(trained, x, y), y)
    long = {"linf": "Linf", "l2": "L2"}[norm]
    reference = torchattacks.Square(trained, norm=long, eps=eps, n_queries=200, p_init=patch, seed=0)
    assert agree(ours, fooled(trained, reference(x, y), y))
    assert fooled(trained, x, y) + 0.05 < ours < 0.98


def test_autoattack_is_at_least_as_strong_as_each_member_and_as_torchattacks_s(trained, held_out, fooled):
    x, y = held_out
    x, y = x[:60], y[:60]
    ours = fooled(trained, AutoAttack(0.06, steps=10, targets=3, queries=50)(trained, x, y), y)
    members = [APGD(0.06, 10), TargetedAPGD(0.06, 10, targets=3), Square(0.06, 50)]
    assert ours >= max(fooled(trained, member(trained, x, y), y) for member in members)
    theirs = torchattacks.AutoAttack(trained, eps=0.06, n_classes=10, seed=0)
    theirs._autoattack.attacks = theirs._autoattack.attacks[:2]
    assert agree(ours, fooled(trained, theirs(x, y), y), 60)


def test_stronger_attacks_are_stronger(trained, held_out, fooled):
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
