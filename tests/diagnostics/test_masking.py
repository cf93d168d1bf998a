"""Planted defences are flagged by the right check; honest models by none."""

import copy

import pytest
import torch
from support import audited
from support.nets import ten_bits
from torch import nn

from lrbench.attacks import PGD
from lrbench.attacks.precision import rounded_products
from lrbench.data import to_unit
from lrbench.diagnostics.masking import CHECKS, Budget, examine
from lrbench.diagnostics.masking.strength import stronger
from lrbench.diagnostics.masking.subject import Subject
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

EPS = 0.1
BUDGET = Budget(steps=20, queries=150, draws=10, unbounded=16)


@pytest.fixture(scope="module")
def images(digits):
    split = digits.test.balanced(80)
    return to_unit(split.images), split.labels


@pytest.fixture(scope="module", params=["few layers", pytest.param("resnet", marks=pytest.mark.slow)])
def layers(request):
    """Of the networks that are examined, each of which is asked many hundred times."""
    return request.param


@pytest.fixture(scope="module")
def plain(layers, request):
    """A network that knows the digits."""
    return audited.plain() if layers == "few layers" else request.getfixturevalue("trained")


def verdict(model, images, **options):
    with seeded(0):
        return examine(model, *images, EPS, budget=BUDGET, **options)


def flags(found):
    return {finding.check.id for finding in found.flagged}


class Wrapped(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.eval()


class Quantised(Wrapped):
    def forward(self, x):
        return self.model((x * 8).round() / 8)


class Randomised(Wrapped):
    def forward(self, x):
        return self.model(x + 0.1 * torch.randn_like(x))


class Saturated(Wrapped):
    def forward(self, x):
        return (self.model(x) * 100).softmax(dim=1)


class Batched(Wrapped):
    """Normalises by what else is in the batch."""

    def forward(self, x):
        return self.model((x - x.mean() + 0.3).clamp(0, 1))


class Bent(Wrapped):
    """Turns the gradient round at each of the 17 grey values that digits have, and nowhere else."""

    finer = 1

    def forward(self, x):
        turns = 2 * torch.pi * 16 * self.finer
        return self.model(x - 2 * torch.sin(turns * x) / turns)


class Rough(Bent):
    """Does so within less than the smallest step."""

    finer = 7


class Rippled(Wrapped):
    """Leads plain PGD astray, and APGD much less."""

    def forward(self, x):
        return self.model(x + 0.005 * torch.sin(300 * x))


class Purifying(Wrapped):
    def forward(self, x):
        with torch.enable_grad():
            moved = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.model(moved).logsumexp(dim=1).sum(), moved)
        return self.model(x + 0.01 * slope.sign())


@pytest.mark.parametrize(
    ("defence", "checks"),
    [
        (Quantised, {"gradients"}),
        (Randomised, {"random-output"}),
        (Saturated, {"probabilities", "gradients"}),
        (Batched, {"batch-dependent"}),
        (Bent, {"single-step-only"}),
        (Rough, {"misleading-gradients"}),
        (Rippled, {"black-box-stronger"}),
        (Purifying, {"gradients-in-prediction"}),
    ],
)
def test_planted_defences_are_flagged(plain, images, defence, checks):
    found = verdict(defence(plain), images)
    assert checks <= flags(found), str(found)
    assert found.name in {"suspicious", "broken"}
    for finding in found.flagged:
        assert finding.check.id in str(found)
        assert finding.check.advice in str(found)


def test_a_model_whose_gradients_are_gone_is_called_broken(plain, images):
    """Random search finds what the gradient does not."""
    found = verdict(Quantised(plain), images)
    assert found.name == "broken"
    assert {"black-box-stronger", "unbounded-fails"} & flags(found)


def test_in_l1_random_search_finds_what_the_gradient_does_not(plain, images):
    x, y = images
    subject = Subject(Quantised(plain), x[:50], y[:50], 4.0, norm="l1", budget=Budget(steps=8, queries=150))
    assert CHECKS["black-box-stronger"].measure(subject).flagged
    assert CHECKS["gradients"].measure(subject).flagged


@pytest.mark.parametrize(("norm", "eps"), [("linf", EPS), ("l2", 0.6), ("l1", 3.0)])
def test_a_normal_model_is_flagged_by_none(plain, images, norm, eps):
    found = examine(plain, *images, eps, norm=norm, budget=BUDGET)
    assert found.name == "held up", str(found)
    assert len(found.findings) == len(CHECKS)


def test_products_that_a_gpu_rounds_do_not_mislead(plain, images):
    model = copy.deepcopy(plain)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(lambda _, given: (ten_bits(given[0]),))
    with rounded_products(allowed=True):
        for eps in (1e-5, 1e-4):
            assert CHECKS["misleading-gradients"].measure(Subject(model, *images, eps)).figure == 0


@pytest.fixture(scope="module")
def hardened(layers, digits):
    if layers == "few layers":
        return audited.fitted(audited.small_net(), *audited.digit_images("train", 1000), PGD(EPS, steps=5), epochs=15)
    with seeded(0):
        model = Classifier(resnet18(10, 1, width=8), *digits.statistics)
        pgd = {"eps": EPS, "steps": 5}
        train(model, digits.train, Training(epochs=6, batch_size=64, learning_rate=0.05, adversarial=pgd), seed=0)
    return model.eval()


def test_a_pgd_trained_model_is_flagged_by_none_and_is_robust(hardened, plain, images):
    found = verdict(hardened, images)
    assert found.name == "held up", str(found)
    robust, normal = (Subject(model, *images, EPS, budget=BUDGET).white.float().mean() for model in (hardened, plain))
    assert robust < normal - 0.2


def test_training_mode_is_seen_and_left_as_it_was(trained, images):
    trained.train()
    try:
        found = CHECKS["training-mode"].measure(Subject(trained, *images, EPS))
        assert found.flagged
        assert all(module.training for module in trained.modules())
    finally:
        trained.eval()


def test_images_made_for_another_model_that_fool_more_are_flagged(plain, images):
    everybody = torch.ones(80, dtype=torch.bool)
    subject = Subject(Quantised(plain), *images, EPS, budget=BUDGET, transfers=(everybody,))
    assert CHECKS["transfer-stronger"].measure(subject).flagged
    assert not CHECKS["transfer-stronger"].measure(Subject(plain, *images, EPS)).flagged


def test_attacks_that_found_less_than_the_checks_are_not_believed(plain, images):
    nobody = torch.zeros(80, dtype=torch.bool)
    own = Subject(plain, *images, EPS, budget=BUDGET)
    check = CHECKS["weaker-than-checks"]
    assert not check.measure(own).flagged, "not asked"
    for claimed, flagged in ((nobody, True), (own.stronger, False)):
        assert check.measure(Subject(plain, *images, EPS, budget=BUDGET, claimed=claimed)).flagged is flagged
    assert flags(verdict(plain, images, claimed=nobody)) == {"weaker-than-checks"}


@pytest.mark.parametrize("ruled_out", [-1e5, -1e9, float("-inf")])
@pytest.mark.parametrize(("defence", "check"), [(Randomised, "random-output"), (Batched, "batch-dependent")])
def test_a_class_that_is_ruled_out_hides_no_difference(plain, images, defence, check, ruled_out):
    class Padded(Wrapped):
        def forward(self, x):
            logits = self.model(x)
            return torch.cat([logits, torch.full_like(logits[:, :1], ruled_out)], dim=1)

    with seeded(0):
        found, plain = (
            CHECKS[check].measure(Subject(model, *images, EPS)) for model in (Padded(defence(plain)), Padded(plain))
        )
    assert found.flagged
    assert not plain.flagged


@pytest.mark.parametrize("unit", [1 / 255, 1.0, 65535.0])
def test_the_unit_of_images_without_bounds_does_not_matter(plain, images, unit):
    class Other(Wrapped):
        def forward(self, x):
            return self.model(x / unit)

    x, y = images
    found = examine(Other(plain), x * unit, y, EPS * unit, bounds=None, budget=BUDGET)
    assert found.name == "held up", str(found)


def test_a_model_without_any_gradient_is_examined_to_the_end(plain, images):
    class Blocked(Wrapped):
        def forward(self, x):
            return self.model(x).detach()

    found = verdict(Blocked(plain), images)
    assert "gradients" in flags(found)
    assert found.name == "broken"


def test_wrong_arguments_are_named(plain, images):
    with pytest.raises(ValueError, match="eps must be a finite number > 0"):
        examine(plain, *images, 0.0)


@pytest.mark.slow
def test_margins_of_a_path_stay_with_their_images_when_batches_are_halved(plain, images):
    x, y = images

    class Small(Wrapped):
        """Fails for want of memory in the midst of a run, on more than twelve images."""

        def __init__(self, model):
            super().__init__(model)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            if len(x) > 12 and self.calls % 3 == 0:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return self.model(x)

    budget = Budget(steps=20, batch_size=50)
    whole = Subject(plain, x, y, EPS, budget=budget).path
    halved = Subject(Small(plain), x, y, EPS, budget=budget).path
    assert halved.margins.shape == whole.margins.shape == (10, len(x))
    assert torch.allclose(halved.margins[0], whole.margins[0], atol=1e-3), "the first margin is the starting point's"
    assert (halved.margins.sign() == whole.margins.sign()).float().mean() > 0.99


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-20, 0.25, 4.0])
def test_whether_an_attack_was_still_rising_does_not_hang_on_the_logits_scale(images, scale):
    """Two classes, whose gradient has the same sign whatever the scale; the weakest step rises to the end."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(images[0][0].numel(), 2)).eval()

        def forward(self, x):
            return self.net(x) * scale

    x, model = images[0], Scaled()
    with torch.no_grad():
        y = model(x).argmax(dim=1)
    kept = [CHECKS["still-rising"].measure(Subject(model, x, y, 0.001, budget=BUDGET)).figure]
    model_of_one = Scaled()
    model_of_one.forward = model_of_one.net
    kept.append(CHECKS["still-rising"].measure(Subject(model_of_one, x, y, 0.001, budget=BUDGET)).figure)
    assert kept[0] == pytest.approx(kept[1], rel=1e-3)
    assert kept[1] > 0


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_what_a_figure_is_of_is_said_as_a_difference_or_a_quotient(check):
    assert " over that " not in check.condition
    if " minus that " in check.condition:
        assert (
            stronger(torch.tensor([True, True, True, False]), torch.tensor([True, False, False, False])).figure == 0.5
        )
