"""Attacks that look for the smallest perturbation, against their reference implementations on a trained model."""

from functools import partial

import foolbox
import numpy as np
import pytest
import torch
import torchattacks
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linprog, minimize

from lrbench.attacks import DDN, FAB, FMN, CarliniWagner, DeepFool
from lrbench.attacks.external import factory_of
from lrbench.attacks.geometry import length
from lrbench.attacks.hyperplane import onto_hyperplane
from lrbench.attacks.losses import surely_misclassified


def distances(model, x_adv, x, y, norm):
    """Of each example; inf where the model is not fooled."""
    with torch.no_grad():
        wrong = model(x_adv).argmax(dim=1) != y
    return torch.where(wrong, length(x_adv - x, norm), torch.inf)


@pytest.mark.parametrize(
    ("norm", "reference"),
    [
        pytest.param("l2", foolbox.attacks.L2DeepFoolAttack, marks=pytest.mark.slow),
        ("linf", foolbox.attacks.LinfDeepFoolAttack),
    ],
)
def test_deepfool_gives_foolbox_s_images(trained, held_out, norm, reference):
    x, y = held_out[0][:40], held_out[1][:40]
    ours = DeepFool(norm, steps=20)(trained, x, y)
    viewed = foolbox.PyTorchModel(trained, bounds=(0, 1))
    theirs = reference(steps=20, candidates=10, overshoot=0.02, loss="logits")(viewed, x, y, epsilons=None)[0]
    assert (distances(trained, ours, x, y, norm) < torch.inf).float().mean() > 0.95
    same = (ours - theirs).flatten(1).abs().amax(dim=1) < 1e-4
    # A tie between two boundaries, or a gradient near zero, may be decided by rounding.
    assert same.float().mean() > 0.97


@pytest.mark.parametrize("norm", ["linf", pytest.param("l2", marks=pytest.mark.slow)])
def test_fab_finds_points_as_close_as_torchattacks_s(trained, held_out, norm):
    x, y = held_out
    x, y = x[:30], y[:30]
    ours = distances(trained, FAB(norm, steps=10)(trained, x, y), x, y, norm)
    reference = torchattacks.FAB(
        trained, norm={"linf": "Linf", "l2": "L2"}[norm], eps=10.0, steps=10, n_classes=10, multi_targeted=True
    )
    theirs = distances(trained, reference(x, y), x, y, norm)
    assert ours.isfinite().all()
    assert ours.median() <= 1.05 * theirs.median()
    assert (ours <= 1.2 * theirs + 1e-6).float().mean() > 0.9


@pytest.mark.parametrize("norm", ["l2", *(pytest.param(norm, marks=pytest.mark.slow) for norm in ("linf", "l1"))])
def test_fab_without_targets_finds_points_as_close_as_adv_lib_s(trained, held_out, norm):
    pytest.importorskip("adv_lib")
    x, y = held_out
    x, y = x[:30], y[:30]
    ours = distances(trained, FAB(norm, steps=10, targeted=False, searches=0)(trained, x, y), x, y, norm)
    theirs = distances(trained, factory_of("adv-lib:fab")(norm=norm, n_iter=10)(trained, x, y), x, y, norm)
    assert ours.isfinite().all()
    assert ours.median() <= 1.05 * theirs.median()
    assert (ours <= 1.2 * theirs + 1e-6).float().mean() > 0.9


@pytest.mark.slow
def test_carlini_wagner_finds_points_as_close_as_foolbox_s(trained, held_out):
    x, y = held_out
    x, y = x[:20], y[:20]
    ours = distances(trained, CarliniWagner(steps=100, searches=5)(trained, x, y), x, y, "l2")
    viewed = foolbox.PyTorchModel(trained, bounds=(0, 1))
    reference = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=5, steps=100)
    theirs = distances(trained, reference(viewed, x, y, epsilons=None)[0], x, y, "l2")
    both = ours.isfinite() & theirs.isfinite()
    assert both.float().mean() >= 0.9
    assert ours[both].median().item() == pytest.approx(theirs[both].median().item(), rel=0.05)


@pytest.mark.parametrize(
    ("attack", "reference"),
    [
        (FMN("l2", steps=50), foolbox.attacks.L2FMNAttack(steps=50)),
        pytest.param(FMN("linf", steps=50), foolbox.attacks.LInfFMNAttack(steps=50), marks=pytest.mark.slow),
        pytest.param(FMN("l1", steps=50), foolbox.attacks.L1FMNAttack(steps=50), marks=pytest.mark.slow),
        (DDN(steps=50), foolbox.attacks.DDNAttack(steps=50)),
    ],
    ids=["fmn-l2", "fmn-linf", "fmn-l1", "ddn"],
)
def test_descents_of_the_norm_find_points_as_close_as_foolbox_s(trained, held_out, attack, reference):
    x, y = held_out[0][:60], held_out[1][:60]
    ours = distances(trained, attack(trained, x, y), x, y, attack.norm)
    viewed = foolbox.PyTorchModel(trained, bounds=(0, 1))
    theirs = distances(trained, reference(viewed, x, y, epsilons=None)[0], x, y, attack.norm)
    assert ours.isfinite().float().mean() >= theirs.isfinite().float().mean()
    assert ours.median() <= 1.02 * theirs.median()
    assert (ours <= 1.2 * theirs + 1e-6).float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_without_targets_goes_to_the_nearest_boundary(trained, held_out, norm):
    x, y = held_out
    x, y = x[:24], y[:24]
    found = {
        name: distances(trained, attack(trained, x, y), x, y, norm)
        for name, attack in {
            "targeted": FAB(norm, steps=20),
            "nearest": FAB(norm, steps=20, targeted=False),
            "restarts": FAB(norm, steps=20, targeted=False, restarts=2),
        }.items()
    }
    assert found["nearest"].isfinite().all()
    assert found["nearest"].median() <= 1.1 * found["targeted"].median()
    assert (found["restarts"] <= found["nearest"]).all()


def test_fab_leaves_alone_what_is_near_enough(trained, held_out):
    x, y = held_out
    x, y = x[:40], y[:40]
    calls = []
    watched = trained.register_forward_hook(lambda _m, inputs, _o: calls.append(len(inputs[0])))
    try:
        whole = distances(trained, FAB("l2", steps=5).run(trained, x, y), x, y, "l2")
        needed, _ = sum(calls), calls.clear()
        enough = whole.median().item()
        early = distances(trained, FAB("l2", steps=5, enough=enough).run(trained, x, y), x, y, "l2")
    finally:
        watched.remove()
    assert torch.equal(early <= enough, whole <= enough), "within the distance the same are found"
    assert sum(calls) < 0.9 * needed


@given(st.integers(0, 10_000), st.sampled_from(["linf", "l2", "l1"]))
def test_no_smaller_perturbation_reaches_the_hyperplane(seed, norm):
    generator = np.random.default_rng(seed)
    point, normal = generator.random(5), generator.normal(size=5)
    gap = generator.normal()
    tensors = (torch.from_numpy(value)[None] for value in (point, normal))
    d = onto_hyperplane(*tensors, torch.tensor([gap]), norm, (0.0, 1.0))[0].numpy()
    assert (point + d >= -1e-9).all()
    assert (point + d <= 1 + 1e-9).all()
    furthest = (np.where(normal * np.sign(gap) > 0, 1 - point, -point) * normal).sum()
    if abs(furthest) < abs(gap):
        assert normal @ d == pytest.approx(furthest)
        return
    assert normal @ d == pytest.approx(gap)
    if norm == "l2":
        best = minimize(
            lambda v: v @ v, d, jac=lambda v: 2 * v, bounds=list(zip(-point, 1 - point, strict=True)),
            constraints=LinearConstraint(normal, gap, gap), method="SLSQP",
        )  # fmt: skip
        assert d @ d <= best.fun + 1e-6
    elif norm == "l1":
        # The sum of two parts that are not negative.
        best = linprog(
            np.ones(10), A_eq=np.concatenate([normal, -normal])[None], b_eq=[gap],
            bounds=[*zip(np.zeros(5), 1 - point, strict=True), *zip(np.zeros(5), point, strict=True)],
        )  # fmt: skip
        assert np.abs(d).sum() <= best.fun + 1e-6
    else:
        smaller = np.abs(d).max() * (1 - 1e-6)
        reach = np.clip(smaller * np.sign(normal * gap), -point, 1 - point) @ normal
        assert abs(reach) <= abs(gap)


def test_without_bounds_the_projection_is_the_textbook_s():
    generator = torch.Generator().manual_seed(0)
    point, normal = torch.rand(4, 6, generator=generator), torch.randn(4, 6, generator=generator)
    gap = torch.randn(4, generator=generator)
    l2 = onto_hyperplane(point, normal, gap, "l2", None)
    assert torch.allclose(l2, gap[:, None] * normal / normal.square().sum(dim=1, keepdim=True), atol=1e-6)
    l1 = onto_hyperplane(point, normal, gap, "l1", None)
    assert torch.allclose(l1.abs().sum(dim=1), gap.abs() / normal.abs().amax(dim=1), atol=1e-6)
    assert ((l1 != 0).sum(dim=1) == 1).all()
    linf = onto_hyperplane(point, normal, gap, "linf", None)
    assert torch.allclose(linf.abs().amax(dim=1), gap.abs() / normal.abs().sum(dim=1), atol=1e-6)


@pytest.mark.turns("steps")
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("steps", [20, 100, 300])
def test_fmn_stops_neither_in_front_of_a_boundary_nor_where_rounding_puts_it_back(norm, steps):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10)).eval()
    x = torch.rand(200, 3, 8, 8)
    with torch.no_grad():
        y = model(x).argmax(dim=1)
        found = FMN(norm, steps)(model, x, y)
        assert (model(found).argmax(dim=1) != y).all()
        # The same network in another order of its sums.
        assert (model.double()(found.double()).argmax(dim=1) != y).float().mean() > 0.99


def linear(dtype=torch.float32, scale=1.0, seed=0):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10)).eval().to(dtype)
    with torch.no_grad():
        for each in model.parameters():
            each.mul_(scale)
    x = torch.rand(60, 3, 8, 8).to(dtype)
    with torch.no_grad():
        return model, x, model(x).argmax(dim=1)


@pytest.mark.parametrize("searches", [3, 25])
def test_fab_s_final_search_ends_behind_the_boundary_by_more_than_rounding(searches):
    model, x, y = linear()
    with torch.no_grad():
        found = FAB("l2", 10, searches=searches)(model, x, y)
        assert (model.double()(found.double()).argmax(dim=1) != y).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_carlini_wagner_finds_in_every_precision_what_it_finds_in_float32(dtype):
    sizes = {}
    for each in (torch.float32, dtype):
        model, x, y = linear(each)
        sizes[each] = distances(model, CarliniWagner(60, 4, initial_const=1.0)(model, x, y), x, y, "l2").float()
        assert sizes[each].isfinite().all()
    assert sizes[dtype].median().item() == pytest.approx(sizes[torch.float32].median().item(), rel=0.1)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_fmn_keeps_points_behind_the_boundary(norm, dtype):
    model, x, y = linear(dtype)
    with torch.no_grad():
        found = FMN(norm, 100)(model, x, y)
        assert surely_misclassified(model(found), y).float().mean() > 0.7


@pytest.mark.parametrize("attack", [*(partial(FMN, norm) for norm in ("linf", "l2", "l1")), DDN])
@pytest.mark.parametrize("unit", [255.0, 0.01])
def test_the_unit_of_images_does_not_matter_to_descents_of_the_norm(attack, unit):
    model, x, y = linear()
    scaled = Scaled(model, unit)
    ours = distances(model, attack(steps=40)(model, x, y), x, y, "l2")
    theirs = distances(scaled, attack(steps=40, bounds=(0.0, unit))(scaled, unit * x, y), unit * x, y, "l2") / unit
    assert ours.isfinite().all()
    assert torch.allclose(ours, theirs, rtol=0.05)


class Scaled(torch.nn.Module):
    def __init__(self, model, unit):
        super().__init__()
        self.model, self.unit = model, unit
        self.eval()

    def forward(self, x):
        return self.model(x / self.unit)


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e8])
def test_ddn_finds_its_way_where_the_cross_entropy_is_saturated(scale):
    model, x, y = linear(scale=scale)
    assert distances(model, DDN(60)(model, x, y), x, y, "l2").isfinite().all()


@pytest.mark.turns("dtype")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_fmn_and_deepfool_find_a_point_for_every_image_of_a_linear_network(norm, dtype):
    for seed in range(6):
        model, x, y = linear(dtype, seed=seed)
        for attack in [FMN(norm, 60), *([] if norm == "l1" else [DeepFool(norm)])]:
            assert distances(model, attack(model, x, y), x, y, norm).isfinite().all(), (attack, seed)


@pytest.mark.parametrize("attack", [FMN("linf"), FMN("l2"), FMN("l1"), DDN(), FAB(), DeepFool(), CarliniWagner(20, 2)])
def test_what_is_misclassified_by_a_rounding_already_stays_as_it_is(attack):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3, bias=False)).eval()
    model[1].weight.data = torch.tensor([[1, 0, 0, 0], [1 + 4e-7, 0, 0, 0], [0, 0, 0, 1]])
    x, y = torch.tensor([0.5, 0.5, 0.5, 0.2]).view(1, 1, 2, 2), torch.tensor([0])
    with torch.no_grad():
        assert model(x).argmax(dim=1) == 1
    assert torch.equal(attack(model, x, y), x)
