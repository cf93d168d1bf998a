"""Searches in bfloat16: what they find is asked again in float32, and counts if it fools the model there."""

import pytest
import torch
from support.nets import TwoLayers, spread_images
from support.takers import holds
from torch import nn

from lrbench.attacks import APGD, FAB, PGD, AutoAttack, Square, TargetedAPGD
from lrbench.attacks.geometry import least_size
from lrbench.attacks.losses import margin, misclassified
from lrbench.attacks.passes import PACES, Pace

N = 24
EPS = {"linf": 0.02, "l2": 0.2, "l1": 1.5}
MAKERS = {
    "apgd": lambda eps, norm, **how: APGD(eps, 10, norm=norm, restarts=2, **how),
    "apgd-t": lambda eps, norm, **how: TargetedAPGD(eps, 8, norm=norm, targets=3, **how),
    "square": lambda eps, norm, **how: Square(eps, 60, norm=norm, **how),
    "fab": lambda eps, norm, **how: FAB(norm, steps=10, targets=3, enough=eps, searches=0, **how),
    "autoattack": lambda eps, norm, **how: AutoAttack(eps, norm=norm, steps=8, targets=3, queries=40, **how),
    "pgd": lambda eps, norm, **how: PGD(eps, steps=8, norm=norm, stop=True, restarts=2, **how),
}


def wavering(waver):
    """Passes in bfloat16 add so much to the logits, at most."""

    def after(logits):
        if not (waver and torch.is_autocast_enabled("cpu")):
            return logits
        logits = logits.float()
        return logits + waver * torch.sin(1e3 * logits.detach())

    return after


def net(waver=0.0):
    """Layers that autocast rounds."""
    return TwoLayers(after=wavering(waver))


@pytest.fixture(scope="module")
def images():
    return spread_images(TwoLayers(), N, among=240)


@pytest.fixture(params=EPS)
def norm(request):
    return request.param


@pytest.fixture(params=MAKERS)
def maker(request):
    return MAKERS[request.param]


def fooled_by(made, model, x, y, eps, norm="linf"):
    found = made(model, x, y)
    with torch.no_grad():
        wrong = misclassified(model(found), y)
    if made.kind == "bounded":
        holds(made, found, x)
        return wrong
    assert torch.equal(found[~wrong], x[~wrong])
    return wrong & (least_size(found, x, norm) <= eps)


@pytest.mark.turns("waver")
@pytest.mark.parametrize("waver", [0.0, 0.02])
def test_about_as_many_fall_as_in_float32_and_within_the_ball(maker, norm, images, waver):
    model, eps = net(waver).eval(), EPS[norm]
    expected = fooled_by(maker(eps, norm), model, *images, eps, norm).sum()
    fooled = fooled_by(maker(eps, norm, precision="bfloat16"), model, *images, eps, norm).sum()
    assert 2 < expected < N
    # A random search climbs no hill whose noise is higher than its steps.
    assert (1 if waver else expected - 2) <= fooled <= expected + 2


@pytest.mark.turns("pace")
@pytest.mark.parametrize("pace", [Pace(64, 32, 1), Pace(6, 6, 3)])
def test_who_is_fooled_in_bfloat16_alone_is_not_fooled(maker, norm, images, monkeypatch, pace):
    monkeypatch.setitem(PACES, "cpu", pace)
    model, tiny, (x, y) = net().eval(), EPS[norm] / 1e3, images
    with torch.no_grad():
        safe = margin(model(x), y).argsort()[: N // 2]
    plain = model.forward
    model.forward = lambda x: -plain(x) if torch.is_autocast_enabled("cpu") else plain(x)
    assert not fooled_by(maker(tiny, norm, precision="bfloat16"), model, x[safe], y[safe], tiny, norm).any()


class Told(TwoLayers):
    """In bfloat16, prefers or shuns the true class."""

    def __init__(self, label, prefers):
        super().__init__()
        self.more = prefers * nn.functional.one_hot(label, 10)

    def forward(self, x):
        logits = super().forward(x)
        return logits + self.more if torch.is_autocast_enabled("cpu") else logits


@pytest.mark.turns("every")
@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("name", MAKERS)
def test_a_claim_that_is_refuted_is_not_the_end_and_a_later_one_may_be(name, images, monkeypatch, every):
    """Whoever seems to fall at the first step, and falls at a later one, ends at the later one."""
    monkeypatch.setitem(PACES, "cpu", Pace(64, 32, every))
    eps, fell = EPS["linf"], {"bfloat16": [], "float32": []}
    for image, label in zip(images[0][::2].split(1), images[1][::2].split(1), strict=True):
        for precision, found in fell.items():
            made = MAKERS[name](eps, "linf", precision=precision)
            found.append(bool(fooled_by(made, Told(label, -0.1).eval(), image, label, eps)))
    assert 2 < sum(fell["float32"]) < N // 2
    # What FAB steps to is the boundary of passes in bfloat16, which is nearer here.
    assert sum(fell["bfloat16"]) >= (1 if name == "fab" else sum(fell["float32"]) - 2)


def test_a_point_counts_at_the_end_of_a_run_that_fools_in_float32_alone(images):
    """Where no pass in bfloat16 sees a misclassification, the best point is asked in float32 nevertheless."""
    for image, label in zip(images[0][-6:].split(1), images[1][-6:].split(1), strict=True):
        made = APGD(0.3, 10, loss="margin", precision="bfloat16")
        assert fooled_by(made, Told(label, 100).eval(), image, label, 0.3).all()


@pytest.mark.parametrize("name", MAKERS)
def test_another_precision_is_refused_in_a_line(name):
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, got 'half'"):
        MAKERS[name](0.1, "linf", precision="half")


class NoAutocast(nn.Module):
    """Cannot be run under autocast."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(192, 8), nn.Linear(8, 10)

    def forward(self, x):
        hidden = self.first(x.flatten(1))
        with torch.autocast("cpu", enabled=False):
            return self.last(hidden)


def test_a_model_that_cannot_be_run_in_bfloat16_is_told_apart():
    model, x = NoAutocast().eval(), torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        y = model(x).argmax(dim=1)
    with pytest.raises(RuntimeError, match="precision: bfloat16"):
        APGD(0.01, 2, precision="bfloat16")(model, x, y)
