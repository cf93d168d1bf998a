"""Whoever needs no more passes leaves, and nothing but the time that it takes depends on it."""

from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lrbench.attacks import APGD, FAB, PGD, AutoAttack, Square, TargetedAPGD
from lrbench.attacks.geometry import length
from lrbench.attacks.hyperplane import climbed_reach, sorted_reach
from lrbench.attacks.losses import margin, misclassified
from lrbench.attacks.passes import MULTIPLE, PACES, Pace, Steady
from lrbench.attacks.prepared import Prepared

N = 26
EPS = 0.05
STAYING = Pace(width=1000, full=1, every=40)
"""All images begin together, one run after the other and query by query, and nobody leaves before a run's end."""

BUSY = [Pace(64, 32, 1), Pace(6, 6, 3), Pace(3, 17, 7)]
OWN_PACES = {"apgd", "apgd-t", "pgd-stop", "fab", "fab-enough", "autoattack"}
"""Attacks that are tried at every pace in each test run: one of each way to search. Others take turns."""
ALIKE = {"apgd-l2-bfloat16", "apgd-l1-bfloat16", "square-l2-bfloat16", "square-l1-bfloat16", "pgd-stop-l2-bfloat16",
         "autoattack-l2", "autoattack-l1", "autoattack-fast-l1", "apgd-t-l1", "fab-bfloat16"}  # fmt: skip
"""Attacks of which each part is tried in another one: slow."""

ATTACKS = {
    "apgd": APGD(EPS, 12),
    "apgd-dlr-restarts": APGD(EPS, 6, loss="dlr", restarts=3),
    "apgd-l2": APGD(0.5, 8, norm="l2", restarts=2),
    "apgd-l1": APGD(2.0, 9, norm="l1", restarts=2),
    "apgd-l1-one-radius": APGD(2.0, 30, norm="l1", larger_radii=False),
    "apgd-eot": APGD(EPS, 5, eot=2),
    "apgd-t": TargetedAPGD(EPS, 6, targets=4),
    "apgd-t-l2": TargetedAPGD(0.4, 6, norm="l2", targets=3),
    "apgd-t-l1": TargetedAPGD(2.0, 6, norm="l1", targets=3),
    "pgd-stop": PGD(EPS, steps=6, restarts=3, stop=True),
    "pgd-stop-l2-bfloat16": PGD(0.4, steps=6, norm="l2", precision="bfloat16", stop=True),
    "square": Square(EPS, 35),
    "square-l2": Square(0.8, 35, norm="l2", patch=0.8, rescale=False),
    "square-l1": Square(4.0, 35, norm="l1"),
    "pgd-stop-l1": PGD(2.0, steps=6, norm="l1", restarts=2, stop=True),
    "fab": FAB(steps=8, targets=3, restarts=2),
    "fab-enough": FAB(steps=8, targets=4, restarts=2, enough=EPS, searches=0),
    "fab-l2-enough": FAB("l2", steps=8, targets=3, enough=0.4),
    "fab-l1-enough": FAB("l1", steps=8, targets=3, restarts=2, enough=2.0),
    "fab-nearest": FAB("l2", steps=5, targeted=False, restarts=2, enough=0.4),
    "autoattack": AutoAttack(EPS, steps=6, targets=3, queries=30),
    "autoattack-l2": AutoAttack(0.4, norm="l2", steps=6, targets=3, queries=30),
    "autoattack-l1": AutoAttack(2.0, norm="l1", steps=6, targets=2, queries=30),
    "apgd-bfloat16": APGD(EPS, 12, restarts=2, precision="bfloat16"),
    "apgd-l2-bfloat16": APGD(0.5, 8, norm="l2", eot=2, precision="bfloat16"),
    "apgd-l1-bfloat16": APGD(2.0, 9, norm="l1", restarts=2, precision="bfloat16"),
    "apgd-t-bfloat16": TargetedAPGD(EPS, 6, targets=4, precision="bfloat16"),
    "pgd-stop-bfloat16": PGD(EPS, steps=6, restarts=3, stop=True, precision="bfloat16"),
    "square-bfloat16": Square(EPS, 35, precision="bfloat16"),
    "square-l2-bfloat16": Square(0.8, 35, norm="l2", precision="bfloat16"),
    "square-l1-bfloat16": Square(4.0, 35, norm="l1", precision="bfloat16"),
    "fab-bfloat16": FAB(steps=8, targets=3, restarts=2, precision="bfloat16"),
    "autoattack-bfloat16": AutoAttack(EPS, steps=6, targets=3, queries=30, precision="bfloat16"),
    "autoattack-fast": AutoAttack(EPS, version="fast", steps=6, targets=3, queries=30),
    "autoattack-fast-l1": AutoAttack(2.0, norm="l1", version="fast", steps=6, targets=3, queries=30),
    "apgd-t-nearest": TargetedAPGD(EPS, 6, targets=4, loss="margin", order="nearest"),
    "autoattack-plus": AutoAttack(EPS, version="plus", steps=4, targets=2, queries=20),
}


class Summed(nn.Module):
    """Two layers without a matrix product, so that an image's logits have the same bits in every batch anywhere.

    What is between them is rounded in a pass in bfloat16, more than bfloat16 does; gradients pass as if it were not.
    """

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = torch.randn(24, 192, generator=generator) / 8
        self.second = torch.randn(10, 24, generator=generator)

    def forward(self, x):
        hidden = torch.tanh((x.flatten(1)[:, None] * self.first).sum(dim=2))
        if torch.is_autocast_enabled("cpu"):
            hidden = hidden + ((16 * hidden).round() / 16 - hidden).detach()
        return (hidden[:, None] * self.second).sum(dim=2)


@pytest.fixture(scope="module")
def near():
    """A model, and images of which some fall at once, some late and some not at all."""
    model, x = Summed().eval(), torch.rand(300, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = model(x).argmax(dim=1)
        order = margin(model(x), y).argsort()
    chosen = order[torch.linspace(0, len(order) - 1, N).long()]
    return model, x[chosen], y[chosen]


@pytest.fixture
def paced(monkeypatch):
    def use(pace):
        monkeypatch.setitem(PACES, "cpu", pace)

    return use


def counted(model, monkeypatch):
    """Images in each pass that the model makes from now on."""
    seen = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda x: (seen.append(len(x)), forward(x))[1])
    return seen


def in_turn(values):
    """Each attack with each of some values: for most attacks all but one of them are slow, each time another."""
    for turn, name in enumerate(ATTACKS):
        for place, value in enumerate(values):
            left = name in ALIKE or (name not in OWN_PACES and place != turn % len(values))
            yield pytest.param(name, value, marks=pytest.mark.slow if left else (), id=f"{name}-{place}")


@pytest.fixture(scope="module")
def staying(near):
    """What an attack finds where all images stay to its end; asked once for all paces."""

    @cache
    def found(name):
        model, x, y = near
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(PACES, "cpu", STAYING)
            expected = ATTACKS[name](model, x, y)
        with torch.no_grad():
            fooled = misclassified(model(expected), y)
        assert name.startswith("fab") or 2 < fooled.sum() < N, f"{fooled.sum()} fall"
        return expected

    return found


@pytest.mark.parametrize(("name", "pace"), [*in_turn(BUSY)])
def test_leaving_refilling_and_looking_ahead_change_no_bit(name, pace, near, staying, paced):
    expected = staying(name)
    paced(pace)
    assert torch.equal(ATTACKS[name](*near), expected)


@pytest.mark.parametrize(("name", "size"), [*in_turn([1, 7])])
def test_an_image_s_outcome_is_the_same_to_the_bit_in_a_batch_of_any_size(name, size, near, staying):
    attack, (model, x, y) = ATTACKS[name], near
    parts = [attack(model, x[i : i + size], y[i : i + size]) for i in range(0, N, size)]
    assert torch.equal(staying(name), torch.cat(parts))


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="other libraries round otherwise")
@pytest.mark.parametrize("features", [16, 512])
def test_products_of_few_rows_are_rounded_as_those_of_many(features):
    model, x = Steady(nn.Linear(features, 10)), torch.rand(40, features)

    def followed(count):
        points = x[:count].clone().requires_grad_()
        logits = model(points)
        assert len(logits) == count
        return logits.detach(), torch.autograd.grad(logits.logsumexp(1).sum(), points)[0]

    logits, gradients = followed(40)
    for count in range(1, 40):
        few, slopes = followed(count)
        assert torch.equal(few, logits[:count])
        assert torch.equal(slopes, gradients[:count])


def test_whoever_has_fallen_costs_nothing_more(near, monkeypatch):
    model, x, y = near
    seen = counted(model, monkeypatch)
    with torch.no_grad():
        assert misclassified(model(APGD(0.5, 50).run(model, x, y)), y).all()
    assert sum(seen) < 10 * N, "of 50 steps, those until the images fall"


def test_passes_stay_full_while_there_are_images_left(near, paced, monkeypatch):
    model, x, y = near
    paced(Pace(width=8, full=8, every=1))
    attack = TargetedAPGD(EPS / 4, 20, targets=4)
    seen = counted(model, monkeypatch)
    attack.run(model, x, y)
    assert max(seen) == 8
    short = [count for count in seen if count < 8]
    assert len(short) < 0.1 * len(seen)


def test_a_lone_image_s_queries_are_made_several_in_a_pass(near, paced, monkeypatch):
    model, x, y = near
    with torch.no_grad():
        safest = margin(model(x), y).argmin()
    x, y = x[safest][None], y[safest][None]
    attack = Square(0.01, 200)
    assert torch.equal(attack.run(model, x, y), attack.run(model, x.clone(), y))
    seen = counted(model, monkeypatch)
    paced(Pace(64, 32, 1))
    attack.run(model, x, y)
    assert len(seen) < 200 / 3, "passes"
    assert sum(seen) < 2 * 200, "points, those tried in vain among them"


def test_all_passes_hold_a_multiple(near, monkeypatch):
    model, x, y = near
    seen = counted(model, monkeypatch)
    AutoAttack(EPS, steps=4, targets=2, queries=10).run(model, x, y)
    assert all(count % MULTIPLE == 0 for count in seen)


def test_to_stop_gives_the_first_misclassified_point_and_leaves_others_as_they_were(near):
    model, x, y = near
    stopping, whole = (PGD(EPS, steps=6, stop=stop)(model, x, y) for stop in (True, False))
    with torch.no_grad():
        fell, at_end = misclassified(model(stopping), y), misclassified(model(whole), y)
    assert (fell | ~at_end).all()
    assert torch.equal(stopping[~fell], whole[~fell])
    shorter = torch.stack([PGD(EPS, EPS * 2.5 / 6, steps)(model, x, y) for steps in range(1, 7)])
    with torch.no_grad():
        wrong = torch.stack([misclassified(model(each), y) for each in shorter])
    late = wrong.any(dim=0) & (stopping != PGD(EPS, 0.0, 1)(model, x, y)).flatten(1).any(dim=1)
    assert late.sum() > 2
    first = wrong.to(torch.uint8).argmax(dim=0)
    assert torch.equal(stopping[late], shorter[first, torch.arange(N)][late])


def test_what_fools_only_a_copy_is_not_near_enough(near):
    """Where FAB is asked at a radius it searches a copy made ready for speed; here the copy errs."""
    model, x, y = near
    attack, ended = FAB(steps=10, targets=2, enough=EPS, searches=0), 0
    for image, label in zip(x.split(1), y.split(1), strict=True):
        with torch.no_grad():
            slack = -0.1 * margin(model(image), label).item() * nn.functional.one_hot(label, 10)

        class Copy(nn.Module):
            def forward(self, images, slack=slack):
                return model(images) - slack

        found = attack.run(Prepared(Copy(), model), image, label)
        if not torch.equal(found, image) and length(found - image, "linf") <= EPS:
            ended += 1
            with torch.no_grad():
                assert misclassified(model(found), label)
    assert ended > 2


@given(st.integers(0, 10_000), st.sampled_from(["linf", "l2"]), st.floats(1e-6, 3.0))
def test_newton_s_method_reaches_the_hyperplane_where_sorting_does(seed, norm, scale):
    generator = torch.Generator().manual_seed(seed)
    room, steep = (torch.rand(4, 30, generator=generator, dtype=torch.float64) for _ in range(2))
    room[room < 0.2], steep[steep < 0.2] = 0, 0
    unit = steep if norm == "l2" else (steep > 0).to(steep)
    gap = scale * torch.rand(4, generator=generator, dtype=torch.float64) * (steep * room).sum(dim=1)
    given_to_both = room, unit, steep, steep * unit, gap
    climbed, ordered = climbed_reach(*given_to_both), sorted_reach(*given_to_both)
    assert torch.allclose(climbed, ordered, rtol=1e-9)
