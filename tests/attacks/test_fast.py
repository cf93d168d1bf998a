"""AutoAttack's fast version: about what the standard version says, and all that it says where gradients are masked."""

import pytest
import torch
from support.models import net_of
from support.nets import TwoLayers as Net
from support.nets import spread_images, ten_bits
from support.takers import holds
from torch import nn

from lrbench.attacks import AutoAttack, LeftOutWarning, TargetedAPGD
from lrbench.attacks.autoattack import SHORT, STANDARD
from lrbench.attacks.cost import Passes
from lrbench.attacks.doubt import doubted, outdone
from lrbench.attacks.geometry import BALLS
from lrbench.attacks.losses import misclassified
from lrbench.attacks.passes import PACES, Pace
from lrbench.attacks.precision import rounded_products
from lrbench.attacks.targets import CANDIDATES, nearest
from lrbench.leaderboard.said import other_than_standard

N = 40
EPS = {"linf": 0.02, "l2": 0.2, "l1": 1.5}
LITTLE_DOUBT = 1 / N
"""Where another class is about to become the nearest one, the margin has a kink."""
LITTLE = {"steps": 12, "targets": 4, "queries": 200}


def noisy(logits):
    return logits + 0.02 * torch.randn_like(logits)


def rounded(x):
    return (32 * x).round() / 32


def in_part(x):
    """No gradient for three tenths of the entries."""
    kept = torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(1)) > 0.3
    return torch.where(kept, x, x.detach())


RULED_OUT = (-1e2, -1e4, -1e9, -torch.inf)


def ruling_out(value, after=lambda logits: logits):
    """Class 9 is ruled out."""
    return lambda logits: after(logits).masked_fill(torch.arange(10) == 9, value)


MASKED = {
    "no gradient for some entries": lambda: Net(in_part),
    "saturated, x 1,000": lambda: Net(after=lambda logits: 1000 * logits),
    "saturated, of probabilities": lambda: Net(after=lambda logits: (1e5 * logits).softmax(dim=1)),
    "rounds its inputs": lambda: Net(rounded),
    "no gradient": lambda: Net(lambda x: x.detach() + 0 * x),
    "a gradient that points the wrong way": lambda: Net(lambda x: 2 * x.detach() - x),
    "a gradient of something else": lambda: Net(
        lambda x: x.detach() + x.flip(3).mul(1e-2) - x.flip(3).detach().mul(1e-2)
    ),
    "draws random numbers": lambda: Net(after=noisy),
}


@pytest.fixture(scope="module")
def images():
    return spread_images(Net(), N)


def attacked(model, images, eps, **options):
    """Who was fooled, and how many images each member saw."""
    x, y = images
    made, seen = AutoAttack(eps, **LITTLE | options), {}
    for name, member in made.members.items():

        def run(model, x, y, name=name, run=member.run):
            seen[name] = len(x)
            return run(model, x, y)

        member.run = run
    torch.manual_seed(0)
    found = made(model, x, y)
    holds(made, found, x)
    with torch.no_grad():
        return misclassified(model(found), y), seen


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("net", [Net, lambda: net_of((3, 8, 8), 10)])
def test_an_honest_network_withstands_it_as_often_and_without_the_standard_version(net, norm, images):
    model, (x, _) = net().eval(), images
    with torch.no_grad():
        y = model(x).argmax(dim=1)
    expected, _ = attacked(model, (x, y), EPS[norm], norm=norm)
    fooled, seen = attacked(model, (x, y), EPS[norm], norm=norm, version="fast")
    assert abs(int(fooled.sum()) - int(expected.sum())) <= 1
    assert 0 < fooled.sum() < N
    assert seen.get(STANDARD[0], 0) <= 0.1 * int((~fooled).sum()) + 1


@pytest.mark.parametrize("name", MASKED)
def test_where_gradients_are_masked_nothing_withstands_that_falls_to_the_standard_version(name, images):
    model, eps = MASKED[name]().eval(), 0.03
    expected, _ = attacked(model, images, eps)
    fooled, seen = attacked(model, images, eps, version="fast")
    if "random" in name:
        assert fooled.sum() >= expected.sum() - 3
        assert seen["apgd-ce"] > 0
        return
    assert (fooled | ~expected).all()
    assert 0 < N - int(fooled.sum()) <= seen["square"], "the black box is asked of all that withstand"


def test_every_sign_of_doubt_is_seen_and_none_where_there_is_none(images):
    x, y = images
    for norm, eps in EPS.items():
        given = x, y, eps, BALLS[norm], (0.0, 1.0)
        assert doubted(Net().eval(), *given).float().mean() <= LITTLE_DOUBT
        for name, masked in MASKED.items():
            if name == "a gradient of something else":
                continue  # which random search outdoes
            assert doubted(masked().eval(), *given).float().mean() > 0.8, name


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("share", [1, 0.1, 0.01])
def test_products_that_a_gpu_rounds_are_no_sign_of_doubt(norm, share, images):
    given = *images, share * EPS[norm], BALLS[norm], (0.0, 1.0)
    with rounded_products(allowed=True):
        assert doubted(Net(ten_bits).eval(), *given).float().mean() <= LITTLE_DOUBT
        assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("share", [1, 0.1])
@pytest.mark.parametrize("case", ["half", "bfloat16", "offset 1e4", "offset 1e5"])
def test_what_rounding_hides_is_in_doubt(case, share, images):
    offset = float(case.partition(" ")[2] or 0)
    masked = Net(lambda x: 2 * x.detach() - x, lambda logits: logits + offset).eval()
    dtype = {"half": torch.float16, "bfloat16": torch.bfloat16}.get(case, torch.float32)
    x, y = images
    found = doubted(masked.to(dtype), x.to(dtype), y, share * EPS["linf"], BALLS["linf"], (0.0, 1.0))
    assert found.float().mean() > 0.8


@pytest.mark.parametrize("value", RULED_OUT)
def test_classes_that_are_ruled_out_hide_no_sign_of_doubt(value, images):
    x, _ = images
    honest = Net(after=ruling_out(value)).eval()
    with torch.no_grad():
        y = honest(x).argmax(dim=1)
    given = x, y, 0.02, BALLS["linf"], (0.0, 1.0)
    assert doubted(honest, *given).float().mean() <= LITTLE_DOUBT
    for masked in (Net(lambda x: 2 * x.detach() - x, ruling_out(value)), Net(after=ruling_out(value, noisy))):
        assert doubted(masked.eval(), *given).float().mean() > 0.8


def test_random_search_that_comes_as_far_as_gradients_casts_doubt_on_them():
    by_gradients = torch.tensor([1.0, 1.0, 0.0, -0.5])
    assert outdone(by_gradients, torch.tensor([0.95, 0.5, 0.0, 0.1])).tolist() == [True, False, True, True]


class Withstanding(nn.Module):
    """Gives class 0 by so much, and counts the images that pass either way."""

    def __init__(self, sure):
        super().__init__()
        self.net, self.sure = net_of((3, 8, 8), 10), sure
        self.forwards = self.backwards = 0

    def forward(self, x):
        self.forwards += len(x)
        logits = self.net(x) + self.sure * nn.functional.one_hot(torch.zeros(1, dtype=torch.long), 10)
        if logits.requires_grad:
            logits.register_hook(self._back)
        return logits

    def _back(self, gradient):
        self.backwards += len(gradient)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("sure", [10, 1e3])
def test_it_costs_what_it_says(sure, precision, monkeypatch):
    monkeypatch.setitem(PACES, "cpu", Pace(width=64, full=1, every=1))
    made, model = AutoAttack(EPS["linf"], version="fast", precision=precision, **LITTLE), Withstanding(sure).eval()
    made.run(model, torch.rand(4, 3, 8, 8), torch.zeros(4, dtype=torch.long))
    found = Passes(model.forwards / 4, model.backwards / 4)
    if sure < 100:
        assert found == made.passes
        return
    # The cross-entropy is 0 there.
    assert found.backward == made.most.backward - (CANDIDATES - 9)
    assert made.passes.forward < found.forward <= made.most.forward
    assert found.forward == made.most.forward or precision == "bfloat16"


def test_the_version_that_withstanding_costs_a_tenth():
    assert 8 * AutoAttack(8 / 255, version="fast").passes.work < AutoAttack(8 / 255).passes.work


@pytest.mark.parametrize("eot", [2, 20])
def test_what_does_not_go_with_it_is_refused_in_a_line(eot):
    with pytest.raises(ValueError, match=rf"version fast is for models that draw no random numbers: .* got {eot}"):
        AutoAttack(0.1, version="fast", eot=eot)
    assert AutoAttack(0.1, version="fast", eot=1).members["apgd-ce"].eot == 1


def test_an_unknown_version_is_answered_with_those_that_there_are():
    with pytest.raises(ValueError, match="version must be one of standard, plus, rand, fast, got 'quick'"):
        AutoAttack(0.1, version="quick")


@pytest.mark.parametrize(("classes", "left_out"), [(2, {"apgd-t"}), (4, set())])
def test_few_classes_leave_out_what_they_do_in_the_standard_version(classes, left_out):
    made = AutoAttack(0.1, version="fast", **LITTLE)
    assert set(made.left_out(classes, (3, 8, 8))) == left_out
    assert set(made.left_out(classes, (12,))) == left_out | {"square", "square-short"}
    model = net_of((3, 8, 8), classes)
    x = torch.rand(6, 3, 8, 8)
    with torch.no_grad():
        y = model(x).argmax(dim=1)
    if left_out:
        with pytest.warns(LeftOutWarning, match="AutoAttack without apgd-t"):
            made(model, x, y)


@pytest.mark.parametrize("options", [{"version": "fast"}, {"precision": "bfloat16"}])
def test_a_board_says_that_it_is_not_the_standard_version(options):
    assert other_than_standard({"name": "autoattack", "seed": 0} | options) == options


def test_its_members_begin_with_its_own():
    assert list(AutoAttack(0.1, version="fast").members) == [*SHORT, *STANDARD]


@pytest.mark.parametrize("norm", EPS)
def test_targets_are_ordered_by_the_distance_of_their_boundaries(norm):
    """Of a linear network, whose boundaries lie where it is said that they lie."""
    generator = torch.Generator().manual_seed(0)
    scales = torch.rand(8, 1, generator=generator) * 5
    model = nn.Linear(12, 8)
    model.weight.data = torch.randn(8, 12, generator=generator) * scales
    x = torch.rand(9, 12, generator=generator)
    with torch.no_grad():
        logits = model(x)
        y = logits.argmax(dim=1)
    dual = {"linf": 1, "l2": 2, "l1": torch.inf}[norm]
    steep = torch.linalg.vector_norm(model.weight[y][:, None] - model.weight[None], ord=dual, dim=2)
    distances = ((logits.gather(1, y[:, None]) - logits) / steep).scatter(1, y[:, None], torch.inf)
    found = nearest(model, x, y, logits, norm, 5)
    assert torch.equal(found, distances.argsort(dim=1)[:, :5])
    assert not torch.equal(found, logits.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)[:, :5])


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_the_nearest_targets_and_the_margin_go_with_any_number_of_classes(classes):
    model, x = net_of((3, 8, 8), classes), torch.rand(6, 3, 8, 8)
    with torch.no_grad():
        y = model(x).argmax(dim=1)
    made = TargetedAPGD(0.2, 5, loss="margin", order="nearest")
    found = made(model, x, y)
    with torch.no_grad():
        assert misclassified(model(found), y).any()
