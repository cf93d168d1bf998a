"""What must hold of an attack at every radius, in every space and precision."""

import pytest
import torch
from support.takers import LITTLE, attack

from lrbench.attacks import (
    APGD,
    FAB,
    FGSM,
    PGD,
    AdaptiveLR,
    AutoAttack,
    CarliniWagner,
    DeepFool,
    IterFSGM,
    IterLLFSGM,
    NormalizedSpace,
    Square,
    TargetedAPGD,
    UniformNoise,
)
from lrbench.attacks.autoattack import LeftOutWarning
from lrbench.attacks.external import factory_of
from lrbench.attacks.geometry import BALLS, checked_projection, least_size, length
from lrbench.attacks.losses import dlr, margin, misclassified
from lrbench.attacks.prepared import Prepared
from lrbench.catalogue import ATTACKS

RADII = [1, 2, 4, 8, 16]


def some(values, at_once):
    """Values of a parameter, of which all but some are slow."""
    return [value if value in at_once else pytest.param(value, marks=pytest.mark.slow) for value in values]


SPACES = {"pixel": (0.0, 1.0), "normalized": None}
SHORT = {"steps": 6, "targets": 2, "queries": 20}
N = 40

BOUNDED = {
    name: lambda eps, bounds, name=name: attack(name, eps=eps, bounds=bounds)
    for name in LITTLE
    if ATTACKS[name].load().kind == "bounded"
} | {
    "fgsm": FGSM,
    "iter-fsgm": lambda eps, bounds: IterFSGM(eps, bounds=bounds),
    "iter-ll-fsgm": lambda eps, bounds: IterLLFSGM(eps, bounds=bounds),
    "pgd": lambda eps, bounds: PGD(eps, steps=10, bounds=bounds),
    "apgd-ce": lambda eps, bounds: APGD(eps, 10, bounds=bounds),
    "apgd-t": lambda eps, bounds: TargetedAPGD(eps, 10, targets=2, bounds=bounds),
    "square": lambda eps, bounds: Square(eps, 30, bounds=bounds),
    "adaptive-lr": lambda eps, bounds: AdaptiveLR(eps, "avgpool", steps=5, bounds=bounds),
    "autoattack": lambda eps, bounds: AutoAttack(eps, bounds=bounds, **SHORT),
    "uniform-noise": lambda eps, bounds: UniformNoise(eps, 3, bounds=bounds),
    "foolbox": lambda eps, bounds: factory_of("foolbox:LinfPGD")(eps=eps, steps=5, bounds=bounds),
}
SIGN = ("fgsm", "iter-fsgm", "iter-ll-fsgm", "pgd", "apgd-ce", "apgd-t", "adaptive-lr", "foolbox", "autoattack")
"""Attacks that step by the gradient's sign: nearly every entry ends at the radius."""

L2 = {
    "pgd": lambda eps, bounds: PGD(eps, steps=10, norm="l2", bounds=bounds),
    "apgd-ce": lambda eps, bounds: APGD(eps, 10, norm="l2", bounds=bounds),
    "apgd-t": lambda eps, bounds: TargetedAPGD(eps, 10, targets=2, norm="l2", bounds=bounds),
    "square": lambda eps, bounds: Square(eps, 30, norm="l2", bounds=bounds),
    "autoattack": lambda eps, bounds: AutoAttack(eps, norm="l2", bounds=bounds, **SHORT),
    "uniform-noise": lambda eps, bounds: UniformNoise(eps, 3, norm="l2", bounds=bounds),
}
L1 = {
    "pgd": lambda eps, bounds: PGD(eps, steps=10, norm="l1", bounds=bounds),
    "apgd-ce": lambda eps, bounds: APGD(eps, 10, norm="l1", bounds=bounds),
    "apgd-t": lambda eps, bounds: TargetedAPGD(eps, 10, targets=2, norm="l1", bounds=bounds),
    "square": lambda eps, bounds: Square(eps, 30, norm="l1", bounds=bounds),
    "autoattack": lambda eps, bounds: AutoAttack(eps, norm="l1", bounds=bounds, **SHORT),
    "uniform-noise": lambda eps, bounds: UniformNoise(eps, 3, norm="l1", bounds=bounds),
}


@pytest.fixture(params=SPACES)
def space(request, trained, held_out, digits):
    """A trained model, the images nearest to its boundaries as attacks see them, and the bounds."""
    x, y = held_out
    with torch.no_grad():
        near = margin(trained(x), y).argsort(descending=True)[:N]
    x, y = x[near], y[near]
    bounds = SPACES[request.param]
    if bounds is not None:
        return trained, x, y, bounds
    seen = NormalizedSpace(trained, *digits.statistics).eval()
    return seen, seen.encode(x), y, bounds


def units(x_adv, x, norm, eps):
    """Distance beyond the radius in units in the last place at the largest of the values."""
    largest = torch.stack([x_adv.abs().amax(), x.abs().amax(), torch.tensor(eps)]).max()
    unit = torch.nextafter(largest, torch.tensor(torch.inf)) - largest
    return (length(x_adv.double() - x.double(), norm).max() - eps).item() / unit.item()


def inside(x_adv, x, norm, eps, bounds):
    assert units(x_adv, x, norm, eps) <= 2
    if bounds is not None:
        assert bounds[0] <= x_adv.min()
        assert x_adv.max() <= bounds[1]


@pytest.mark.turns("space", "e")
@pytest.mark.parametrize("e", some(RADII, {1, 8}))
@pytest.mark.parametrize("name", BOUNDED)
def test_every_point_is_in_the_linf_ball_and_a_sign_attack_uses_it(space, name, e):
    model, x, y, bounds = space
    eps = e / 255
    x_adv = BOUNDED[name](eps, bounds)(model, x, y)
    inside(x_adv, x, "linf", eps, bounds)
    with torch.no_grad():
        fooled = misclassified(model(x_adv), y) & ~misclassified(model(x), y)
    if name in SIGN and fooled.any():
        assert 0.9 * eps <= length(x_adv - x, "linf")[fooled].mean() <= 1.0001 * eps


@pytest.mark.turns("space", "eps")
@pytest.mark.parametrize("eps", some([0.02, 0.1, 0.5, 3.0], {0.02, 0.5}))
@pytest.mark.parametrize("name", L2)
def test_every_point_is_in_the_l2_ball(space, name, eps):
    model, x, y, bounds = space
    inside(L2[name](eps, bounds)(model, x, y), x, "l2", eps, bounds)


@pytest.mark.turns("space", "eps")
@pytest.mark.parametrize("eps", some([0.02, 0.5, 3.0, 12.0], {0.5, 12.0}))
@pytest.mark.parametrize("name", L1)
def test_every_point_is_in_the_l1_ball(space, name, eps):
    model, x, y, bounds = space
    x_adv = L1[name](eps, bounds)(model, x, y)
    assert ((x_adv.double() - x.double()).abs().flatten(1).sum(dim=1) <= eps * (1 + 1e-9)).all()
    inside(x_adv, x, "l1", eps, bounds)


@pytest.mark.turns("space")
@pytest.mark.parametrize(
    ("norm", "radii"),
    [
        ("linf", [8 / 255, 16 / 255]),
        pytest.param("l2", [0.4, 0.8], marks=pytest.mark.slow),
        pytest.param("l1", [1.5], marks=pytest.mark.slow),
        pytest.param("linf", [e / 255 for e in RADII], marks=pytest.mark.slow),
        pytest.param("l2", [0.05, 0.1, 0.2, 0.4, 0.8], marks=pytest.mark.slow),
    ],
)
def test_autoattack_fools_whatever_a_member_fools(space, norm, radii):
    model, x, y, bounds = space
    gained = 0
    for eps in radii:
        attack = AutoAttack(eps, norm=norm, bounds=bounds, **SHORT)
        with torch.no_grad():
            clean = misclassified(model(x), y)
            whole = misclassified(model(attack(model, x, y)), y)
            for name, member in list(attack.members.items()):
                x_adv = member(model, x, y)
                alone = misclassified(model(x_adv), y) & (least_size(x_adv, x, norm) <= eps)
                assert (whole | ~alone).all(), f"{name} at {eps:.4f} fools what all of them do not"
                attack.members = {name: member}
                kept = misclassified(model(attack(model, x, y)), y)
                assert (kept | ~alone).all(), f"what {name} finds at {eps:.4f} is thrown away"
                gained += int((alone & ~clean).sum())
    assert gained > 20, "radii at which something is fooled"


@pytest.mark.parametrize(
    ("space", "version"),
    [
        ("pixel", "plus"),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (("normalized", "rand"), ("normalized", "plus"), ("pixel", "rand"))
        ),
    ],
    indirect=["space"],
)
def test_the_other_versions_fool_whatever_their_members_fool(space, version):
    model, x, y, bounds = space
    x, y = x[:16], y[:16]
    attack = AutoAttack(2 / 255, version=version, bounds=bounds, **SHORT)
    with torch.no_grad():
        whole = misclassified(model(attack(model, x, y)), y)
        for member in attack.members.values():
            x_adv = member(model, x, y)
            alone = misclassified(model(x_adv), y) & (least_size(x_adv, x, "linf") <= 2 / 255)
            assert (whole | ~alone).all()


def test_what_autoattack_found_counts_on_the_model_itself(trained, held_out):
    """A copy made ready for speed may err by rounding; here it errs by more, and fools nobody but itself."""
    x, y = held_out[0][:N], held_out[1][:N]

    class Off(torch.nn.Module):
        def forward(self, images):
            return trained(images).roll(1, dims=1)

    found = AutoAttack(1 / 255, **SHORT).run(Prepared(Off(), trained), x, y)
    with torch.no_grad():
        moved = (found != x).flatten(1).any(dim=1)
        assert misclassified(trained(found), y)[moved].all()


@pytest.mark.parametrize(
    "attack",
    [
        FAB(steps=5, targets=2),
        *(pytest.param(FAB(norm, steps=5), marks=pytest.mark.slow) for norm in ("l2", "l1")),
        DeepFool(steps=10),
        pytest.param(CarliniWagner(steps=30, searches=4, learning_rate=0.05), marks=pytest.mark.slow),
    ],
    ids=["fab", "fab-l2", "fab-l1", "deepfool", "carlini-wagner"],
)
def test_a_minimal_attack_ends_behind_the_boundary_of_the_model_itself(trained, held_out, attack):
    """The boundary of a copy that rounds otherwise is another one, and all that they find lies just behind it."""
    x, y = held_out[0][:N], held_out[1][:N]

    class Rounded(torch.nn.Module):
        def forward(self, images):
            logits = trained(images)
            return logits - 1e-2 * torch.nn.functional.one_hot(y[: len(images)], 10)

    expected = attack(trained, x, y)
    found = attack(Prepared(Rounded(), trained), x, y)
    assert torch.equal(found, expected)
    with torch.no_grad():
        moved = (found != x).flatten(1).any(dim=1)
        assert moved.sum() > N / 2
        assert misclassified(trained(found), y)[moved].all()


@pytest.mark.turns("space", "e")
@pytest.mark.parametrize("attack", [FAB(steps=5, targets=2), DeepFool("linf", steps=5)], ids=["fab", "deepfool"])
@pytest.mark.parametrize("e", RADII)
def test_a_minimal_attack_at_its_own_distance_counts(space, attack, e):
    """Moved to just the radius, what is fooled lies within it, whatever the radius."""
    model, x, y, bounds = space
    attack.bounds = bounds
    x_adv = attack(model, x, y)
    pushed = BALLS["linf"].project(x + (x_adv - x).sign() * e / 255, x, e / 255, bounds)
    assert (least_size(pushed, x, "linf") <= e / 255).all()
    assert (least_size(x + (x_adv - x).sign() * e / 255 * 1.001, x, "linf") > e / 255).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("bounds", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("eps", [1e-4, 1 / 255, 0.3, 5.0])
def test_projecting_twice_changes_nothing_and_ends_in_the_ball(dtype, norm, bounds, eps):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(20, 3, 16, 16, generator=generator)
    x = (x if bounds else (x - 0.5) / 0.25).to(dtype)
    x_adv = x + (3 * eps * torch.randn(x.shape, generator=generator)).to(dtype)
    once = BALLS[norm].project(x_adv, x, eps, bounds)
    # Sizes are summed in float64, which has nothing to spare for values that are float64 themselves.
    spare = 1e-14 if dtype == torch.float64 else 0.0
    assert (BALLS[norm].project(once, x, eps, bounds) - once).abs().max() <= spare
    assert (checked_projection(once, x, eps, norm, bounds, "an attack") - once).abs().max() <= spare
    assert (least_size(once, x, norm) <= eps + spare).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("eps", [1e-6, 1e-3, 0.1, 0.5, 3.0])
def test_entries_that_are_rounded_alike_stay_in_the_l2_ball(dtype, eps):
    """Of a constant image, moved alike everywhere, all errors have one sign."""
    grey = torch.full((2, 1, 64, 64), 0.5, dtype=dtype)
    ahead = grey + torch.stack([torch.ones(1, 64, 64), torch.ones(1, 64, 64).cumsum(2) / 64]).to(dtype)
    found = BALLS["l2"].project(ahead, grey, eps, None)
    sizes = (found.double() - grey.double()).flatten(1).norm(dim=1)
    # What is measured is rounded to the dtype as well.
    ulp = torch.finfo(dtype).eps * torch.maximum(found.double().flatten(1).amax(dim=1), sizes)
    assert (sizes <= eps + 3 * ulp).all()


@pytest.mark.turns("mean", "std", "dtype")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("mean", "std"), [(0.485, 0.229), (0.406, 0.225), (0.1307, 0.3081), (0.4465, 0.261)])
@pytest.mark.parametrize("name", [name for name in BOUNDED if name != "adaptive-lr"])
def test_black_and_white_are_inside_bounds_that_are_not_numbers_of_the_dtype(small_net, name, mean, std, dtype):
    pixels = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)).mul(2).sub(0.5).clamp(0, 1)
    x = ((pixels - mean) / std).to(dtype)
    low, high = (0 - mean) / std, (1 - mean) / std
    y = small_net.to(dtype)(x).argmax(dim=1)
    found = BOUNDED[name](0.3, (low, high))(small_net, x, y)
    assert ((found.double() >= low) | (found == x)).all()
    assert ((found.double() <= high) | (found == x)).all()
    assert torch.equal(BOUNDED[name](0.0, (low, high))(small_net, x, y), x)


def test_an_attack_that_leaves_the_ball_is_named():
    x = torch.rand(4, 1, 3, 3)
    with pytest.raises(ValueError, match=r"mine went .* beyond eps = 0.1 in linf; it is made for another norm"):
        checked_projection(x + 0.2, x, 0.1, "linf", None, "mine")
    with pytest.raises(ValueError, match="mine went nan beyond"):
        checked_projection(x * torch.nan, x, 0.1, "linf", None, "mine")


def test_a_tie_is_what_the_model_says():
    logits = torch.tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    assert misclassified(logits, torch.tensor([0, 1, 1])).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("eps", [0.03, 0.3])
def test_square_and_dlr_give_numbers_in_half_precision(dtype, norm, eps):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10)).to(dtype).eval()
    x = torch.rand(16, 3, 8, 8).to(dtype)
    with torch.no_grad():
        y = model(x).argmax(dim=1)
    x_adv = Square(eps, 30, norm=norm)(model, x, y)
    assert x_adv.isfinite().all()
    # bfloat16 has three digits: the errors of 192 entries add up to more than a unit of their length.
    assert (least_size(x_adv, x, norm) <= (1.1 * eps if dtype == torch.bfloat16 else eps)).all()
    assert dlr(torch.zeros(2, 5, dtype=dtype), torch.tensor([0, 1])).isfinite().all()


@pytest.mark.parametrize(("version", "classes", "needed"), [("standard", 3, 4), ("plus", 2, 4), ("rand", 2, 3)])
def test_members_that_need_more_classes_are_left_out_and_named(version, classes, needed):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, classes)).eval()
    x = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        y = model(x).argmax(dim=1)
    with pytest.warns(LeftOutWarning, match=f"needs at least {needed} classes; this model has {classes}"):
        AutoAttack(1e-6, version=version, **SHORT)(model, x, y)
