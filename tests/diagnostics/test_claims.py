"""Claims that do not hold are told from those that do, and each for its own reason."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import audited
from support.nets import conv_net
from torch import nn
from torch.nn import functional

import lrbench
from lrbench.attacks import PGD
from lrbench.attacks.geometry import BALLS
from lrbench.diagnostics.claims import LADDER, Claim, Effort, audit, not_tried, read
from lrbench.diagnostics.claims.places import measured
from lrbench.diagnostics.claims.straight import straight_through
from lrbench.errors import UsageError
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.statistics import mcnemar, wilson

SMALL = Effort(longer=2, least=20, apgd_steps=6, restarts=2, targets=2, queries=10, averaged=6)
PGD_10 = "pgd, steps 10, 0.1"
ENSEMBLE = "autoattack, version fast, steps 10, targets 4, queries 20, 0.02"


def digits(count=60):
    return audited.digit_images("test", count)


def patterns():
    return audited.patterns(200, seed=2)


def audited_with(model, images, claim, **options):
    return audit(model, *images, claim, effort=SMALL, **options)


@pytest.mark.parametrize(
    ("made", "claim", "cause", "rung"),
    [
        ("saturated", PGD_10, "saturated", {"margin", "rescaled", "targeted"}),
        ("quantised", PGD_10, "vanishing", {"straight-through"}),
        ("winners", PGD_10, "jumping", {"targeted", "autoattack"}),
        ("noisy", "pgd, steps 5, 0.1", "noisy", {"smoothed", "expectation"}),
        ("single_step_trained", "fgsm, 0.4", "single-step", {"steps", "apgd", "targeted"}),
        ("close", PGD_10, "uniform", {"margin", "rescaled", "targeted"}),
        ("softmaxed", PGD_10, "vanishing", {"inner"}),
    ],
)
def test_the_cause_is_named(made, claim, cause, rung):
    found = audited_with(getattr(audited, made)(), digits(100 if made == "close" else 60), claim)
    assert found.verdict.cause == cause, str(found)
    assert found.verdict.rung in rung
    assert found.left.value < found.own.value - 0.05
    assert f"cause: {cause}" in str(found)


def test_what_was_measured_is_said_also_where_it_costs_little():
    """Straight through a quantiser, gradients are sound for the attack, though they are not the network's slope."""
    straight = audited.Around(audited.plain(), before=lambda x: x + ((x * 8).round() / 8 - x).detach())
    found = audited_with(straight, digits(), PGD_10)
    assert (found.verdict.bill, found.verdict.cause) == ("clean", "jumping"), str(found)
    assert "Clean, but jumping" in found.conclusion


@pytest.mark.filterwarnings("ignore::lrbench.attacks.autoattack.LeftOutWarning")
@pytest.mark.parametrize(
    ("classes", "after"),
    [(2, lambda z: (100 * z).softmax(dim=1)), (10, lambda z: (30 * z).sigmoid()), (10, torch.round)],
)
def test_what_hides_logits_hides_nothing_of_those_inside(classes, after):
    """Of two classes, too, of which neither another loss nor other logits undo a softmax."""
    bare, (x, y) = audited.plain(), digits()
    if classes == 2:
        bare = audited.Around(bare, after=lambda z: torch.stack([z[:, :5].logsumexp(1), z[:, 5:].logsumexp(1)], 1))
        y = (y >= 5).long()
    left = float((bare(PGD(0.1, steps=10)(bare, x, y)).argmax(dim=1) == y).double().mean())
    hidden = audited_with(audited.Around(bare, after=after), (x, y), PGD_10)
    assert hidden.ladder.tried["inner"].alone.value <= left + 0.05, str(hidden)
    assert hidden.verdict.bill == "masked" or hidden.verdict.gap <= 0.1, str(hidden)


def test_inner_logits_are_those_of_the_last_modules_that_name_the_same_classes():
    images = digits(10)
    whole = audited_with(audited.plain(), images, "pgd, steps 1, 0.01")
    assert "inner" not in whole.ladder.tried
    ended = audited_with(nn.Sequential(audited.plain(), nn.LogSoftmax(dim=1)), images, "pgd, steps 1, 0.01")
    assert ended.ladder.tried["inner"].tried.note.startswith("of ")
    assert ended.verdict.bill == "clean"


class Exits(nn.Module):
    """Calls its second head where the first one is not sure of every image, and one head on what is no image, too."""

    def __init__(self, kind):
        super().__init__()
        *before, last = audited.plain()
        self.features, self.head, self.kind = nn.Sequential(*before), last, kind
        self.second = nn.Linear(32, 10)
        self.register_buffer("prototypes", torch.rand(7, 32, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        features = self.features(x)
        z = self.head(features)
        if self.kind == "exit":
            return 2 * z if z.softmax(dim=1).amax(dim=1).min() > 0.9 else z + 1e-3 * self.second(features)
        if self.kind == "called again":
            return z - 0.1 * self.head(self.prototypes).mean(dim=0)
        if self.kind == "wide":
            return functional.linear(features.double(), self.head.weight.double()).float() + self.head.bias
        return z + 0.01


@pytest.mark.parametrize("kind", ["exit", "called again", "wide", "shifted"])
def test_modules_called_now_and_then_or_again_or_in_another_dtype_do_not_end_an_audit(kind):
    found = audited_with(Exits(kind).eval(), digits(20), "pgd, steps 5, 0.05")
    assert found.verdict.bill != "inconclusive", str(found)


def test_a_module_in_float64_gives_inner_logits_in_the_network_s_dtype():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            *before, last = audited.plain()
            self.features, self.head = nn.Sequential(*before), copy.deepcopy(last).double()

        def forward(self, x):
            return self.head(self.features(x).double()).float() * 3

    found = audited_with(Wide().eval(), digits(20), "pgd, steps 5, 0.05")
    assert "inner" in found.ladder.tried
    assert found.verdict.bill == "clean"


@pytest.mark.parametrize("after", [None, lambda z: (100 * z).softmax(dim=1)])
def test_a_network_in_training_mode_is_left_as_it_was_and_audited_as_in_evaluation(after):
    torch.manual_seed(0)
    bare = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    net = bare if after is None else audited.Around(bare, after=after)
    x, _ = digits(12)
    y = net.eval()(x).argmax(dim=1)
    expected = audited_with(copy.deepcopy(net), (x, y), "pgd, steps 3, 0.05")
    net.train()
    before = copy.deepcopy(net.state_dict())
    state = torch.get_rng_state()
    found = audited_with(net, (x, y), "pgd, steps 3, 0.05")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert [each.alone for each in found.ladder.rungs] == [each.alone for each in expected.ladder.rungs]


def test_a_scripted_network_has_no_copy_in_float64_and_is_audited():
    found = audited_with(torch.jit.script(audited.plain()), digits(10), "pgd, steps 2, 0.02")
    reasons = {rung.name: rung.reason for rung in found.ladder.rungs if rung.tried is None}
    assert "no copy in float64" in reasons["float64"] or "float64" in found.ladder.tried
    assert found.verdict.bill in {"clean", "weak attack"}


def test_under_autocast_modules_are_measured_in_the_precision_of_their_parameters():
    with torch.autocast("cpu", torch.bfloat16):
        found = audited_with(audited.plain(), digits(20), "pgd, steps 5, 0.02")
    assert not found.ladder.places, str(found)
    assert found.verdict.bill == "clean"


def test_randomness_that_is_hidden_behind_a_flat_output_is_seen():
    noisy = audited.Around(audited.noisy(), after=lambda z: (1e4 * z).softmax(dim=1))
    found = audited_with(noisy, digits(20), "pgd, steps 2, 0.02")
    assert "expectation" in found.ladder.tried


def test_where_no_gradient_arrives_there_is_no_clean_bill():
    """Between two modules, where nothing can go straight through: attacks that find nothing have not attacked."""
    *before, last = audited.plain()
    first, hidden = nn.Sequential(*before), nn.Sequential(last, nn.Identity())

    class Blocked(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.hidden = first, hidden

        def forward(self, x):
            return self.hidden(self.first(x).detach())

    found = audited_with(Blocked().eval(), digits(), "pgd, steps 10, 0.02")
    assert found.verdict.bill == "inconclusive", str(found)
    assert found.conclusion.startswith("Inconclusive: ")
    assert "clean" not in found.conclusion.lower()


@pytest.mark.parametrize("leak", ["other", "wrong sign"])
def test_a_gradient_that_leaks_and_misleads_gives_no_clean_bill_either(leak):
    net = audited.plain()
    weight = torch.rand(10, 64, generator=torch.Generator().manual_seed(0)) - 0.5

    class Leaking(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            if leak == "other":
                return self.net(x.detach()) + 1e-4 * functional.linear(x.flatten(1), weight)
            z = self.net(x)
            return 2 * z.detach() - z

    found = audited_with(Leaking().eval(), digits(), "pgd, steps 10, 0.05")
    assert found.own.value > found.accuracy.value - 0.1
    assert found.verdict.bill in {"inconclusive", "masked"}, str(found)


def test_what_asks_for_no_gradient_takes_no_way_that_gradients_take():
    found = audited_with(audited.quantised(), digits(20), "square, queries 20, 0.02")
    assert found.ladder.tried["straight-through"].tried.backward == 0
    assert found.verdict.bill in {"inconclusive", "masked"}, str(found)


def test_more_than_is_usual_is_not_usual_of_a_network_that_keeps_much():
    """15 % of nearly all images would be more than honest attacks leave each other."""
    close = audited.Around(audited.pgd_trained(), after=lambda z: z / 1e4)
    found = audited_with(close, patterns(), "pgd, steps 10, 0.015")
    assert 0.085 < found.verdict.gap < 0.01 + 0.15 * found.own.value, str(found)
    assert (found.verdict.bill, found.verdict.cause) == ("weak attack", "uniform")


def test_noise_does_not_hide_that_logits_are_saturated():
    found = audited_with(audited.Around(audited.noisy(), after=lambda z: 1e4 * z), digits(), "pgd, steps 5, 0.1")
    assert found.shares.noisy == 1
    assert found.shares.saturated > 0.2
    assert found.verdict.cause in {"noisy", "saturated"}, str(found)


@pytest.fixture(scope="module")
def honest():
    return audited_with(audited.pgd_trained(), patterns(), ENSEMBLE)


def test_mean_sparse_above_its_base_is_found_out_by_going_straight_through(honest):
    """AutoAttack leaves more of it than of its base, and through the modules that it adds no more."""
    found = audited_with(audited.mean_sparse(), patterns(), ENSEMBLE)
    assert found.own.value > honest.own.value + 0.02, str(found)
    assert found.ladder.tried["straight-through"].alone.value <= honest.own.value
    assert (found.verdict.bill, found.verdict.cause, found.verdict.rung) == ("masked", "jumping", "straight-through")
    assert [place.partition(":")[0] for place in found.ladder.places] == ["2 (Centred)"]


def test_an_honest_network_has_a_clean_bill(honest):
    assert honest.verdict.bill == "clean", str(honest)
    assert not honest.ladder.places
    by_pgd = audited_with(audited.pgd_trained(), patterns(), "pgd, steps 10, 0.02")
    assert by_pgd.verdict.bill == "clean", str(by_pgd)
    claim = replace(by_pgd.claim, robust_accuracy=100 * by_pgd.own.value)
    assert "NOT REPRODUCED" not in replace(by_pgd, claim=claim).sentence


def test_a_plain_network_has_a_clean_bill_and_its_claim_is_not_reproduced():
    found = audited_with(audited.plain(), digits(), f"{PGD_10}: 78.5")
    assert found.verdict.bill == "clean", str(found)
    assert found.sentence.startswith("pgd, steps 10, 25.5/255: NOT REPRODUCED: 78.5 % claimed, ours ")


def test_the_figures_of_a_rung_are_those_of_its_attack():
    x, y = digits(40)
    model = audited.plain()
    found = audited_with(model, (x, y), "pgd, steps 4, 0.1")

    def left(**options):
        return model(PGD(0.1, **options)(model, x, y)).argmax(dim=1) == y

    own, longer = left(steps=4), left(steps=20)
    climbed = found.ladder.tried["steps"]
    assert found.own.value == pytest.approx(own.double().mean())
    assert climbed.alone.value == pytest.approx(longer.double().mean())
    assert (climbed.alone.low, climbed.alone.high) == wilson(float(longer.double().mean()), len(y))
    assert climbed.worst.value == pytest.approx((own & longer).double().mean())
    more, less = int((own & ~longer).sum()), int((longer & ~own).sum())
    assert climbed.less == pytest.approx((more - less) / len(y))
    assert climbed.p == mcnemar(more, less)
    assert (climbed.tried.forward, climbed.tried.backward) == (20, 20)


def test_every_rung_is_tried_or_says_why_not():
    x, y = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
    found = audited_with(attach_lr_layers(conv_net().eval(), {"3": 2}), (x, y), "pgd, steps 2, 0.05")
    assert [rung.name for rung in found.ladder.rungs] == [rung.name for rung in LADDER]
    for rung in found.ladder.rungs:
        assert (rung.tried is None) == bool(rung.reason), rung.name
    reasons = {rung.name: rung.reason for rung in found.ladder.rungs if rung.tried is None}
    assert reasons["transfer"] == "no other network was given"
    assert reasons["adaptive"] == "the network has no LR-Layers that acted"


def test_lr_layers_that_acted_are_attacked_by_the_adaptive_attack():
    net = attach_lr_layers(audited.small_net(), {"5": 4})
    x, _ = digits()
    net.train()(x)
    net.lr_layers.penalty()
    net.lr_layers.update()
    found = audited_with(net.eval(), (x[:20], net(x[:20]).argmax(dim=1)), "pgd, steps 2, 0.02")
    assert found.ladder.tried["adaptive"].tried.forward > 0


def test_images_made_for_another_network_count():
    x, y = digits(20)
    found = audited_with(audited.quantised(), (x, y), PGD_10, others={"plain": audited.plain()})
    assert found.ladder.tried["transfer"].less > 0.3


def test_a_ladder_ends_where_nothing_is_left():
    images = digits(40)
    found = audited_with(audited.plain(), images, "pgd, steps 10, 0.4")
    assert found.own.value == 0
    assert list(found.ladder.tried) == ["own"]
    whole = audited_with(audited.plain(), images, "pgd, steps 10, 0.4", whole=True)
    assert "autoattack" in whole.ladder.tried


def test_of_a_network_that_gets_nothing_right_nothing_is_left():
    """Such as refuses to be asked of no images at all."""
    x, _ = digits(10)
    net = Classifier(audited.plain(), [0.5], [0.5])
    found = audited_with(net, (x, (net(x).argmax(dim=1) + 1) % 10), PGD_10)
    assert (found.accuracy.value, found.left.value, found.verdict.bill) == (0, 0, "nothing left")
    assert "no other is needed" in found.conclusion


def test_an_audit_that_was_stopped_goes_on_where_it_was():
    images = digits(10)
    kept = {}
    whole = audited_with(audited.quantised(), images, PGD_10, keep=kept.__setitem__)
    half = dict(list(kept.items())[:8])
    again = {}
    resumed = audited_with(audited.quantised(), images, PGD_10, known=half, keep=again.__setitem__)
    assert set(again) == set(kept) - set(half)
    assert resumed.verdict == whole.verdict
    assert [each.alone for each in resumed.ladder.rungs] == [each.alone for each in whole.ladder.rungs]


def test_a_network_is_left_as_it_was():
    net = audited.mean_sparse()
    before = copy.deepcopy(net.state_dict())
    x, y = patterns()
    net.train()
    audited_with(net, (x[:20], y[:20]), "pgd, steps 2, 0.02")
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())


class Detached(nn.Module):
    def forward(self, x):
        return torch.tanh(x.detach())


class HalfDetached(nn.Module):
    """Its gradient is that of every other column."""

    def forward(self, x):
        return torch.where(torch.arange(x.shape[-1]) % 2 == 0, x, x.detach())


class Backwards(nn.Module):
    """Its gradient points the other way."""

    def forward(self, x):
        return 2 * x.detach() - x


@pytest.mark.parametrize(
    ("module", "flagged"),
    [
        (nn.ReLU(), False), (nn.Tanh(), False), (nn.MaxPool2d(2), False), (nn.Conv2d(3, 3, 3), False),
        (nn.Hardswish(), False), (nn.GroupNorm(1, 3), False), (nn.Softmax(dim=1), False),
        (audited.Winners(0.1), True), (Detached(), True), (HalfDetached(), True), (Backwards(), True),
        (nn.Hardshrink(0.3), True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("eps", [1 / 255, 0.1])
def test_modules_are_flagged_by_what_they_do(module, flagged, eps):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 3, 3), module).eval()
    places = measured(net, torch.rand(16, 3, 8, 8), eps, BALLS["linf"], (0.0, 1.0))
    assert {place.name: place.flagged for place in places} == {"0": False, "1": flagged}


def test_what_draws_random_numbers_is_not_taken_for_a_jump():
    class Dithered(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    places = measured(nn.Sequential(Dithered(), nn.Tanh()), torch.rand(4, 3, 8, 8), 0.1, BALLS["linf"], None)
    assert (places[0].name, places[0].random, places[0].flagged) == ("0", True, False)


def test_straight_through_is_the_identity_on_the_way_back_alone():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Hardshrink(0.2), nn.Linear(6, 3)).eval()
    x = torch.rand(5, 3, 2, 2, requires_grad=True)
    (place,) = (each for each in measured(net, torch.rand(16, 3, 2, 2), 0.1, BALLS["linf"], None) if each.flagged)
    expected = net(x)
    with straight_through(net, [place]):
        found = net(x)
        (slope,) = torch.autograd.grad(found.sum(), x)
    assert torch.equal(found, expected)
    ones = torch.ones(3) @ net[3].weight @ net[1].weight
    assert torch.allclose(slope, ones.view(3, 2, 2).expand_as(slope), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pgd, steps 9, 1/255: 78.5", {"attack": {"name": "pgd", "steps": 9}, "eps": 1 / 255, "robust_accuracy": 78.5}),
        ("cw, 0.5, norm l2: 60 %", {"attack": {"name": "cw"}, "eps": 0.5, "norm": "l2", "robust_accuracy": 60}),
        ("fgsm, 8/255", {"attack": {"name": "fgsm"}, "eps": 8 / 255}),
        ("art:L, steps=5, 1e-2:3", {"attack": {"name": "art:L", "steps": 5}, "eps": 0.01, "robust_accuracy": 3}),
    ],
)  # fmt: skip
def test_claims_are_read_as_they_are_written(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pgd, steps 20: 78", "0 radii"),
        ("pgd, 8/255, 4/255: 78", "2 radii"),
        (", 8/255: 78", "no attack"),
        ("pgd, steps, 8/255: 78", "'steps' is no radius, and no option with its value"),
        ("pgd, 8/0: 78", "'8/0' is no radius"),
        ("pgd, 8/255: 178", "percentage from 0 to 100"),
        ("pgd, step 20, 8/255: 78", "unknown key; did you mean 'steps'"),
        ("pgdd, 8/255: 78", "did you mean 'pgd'"),
        ("fgsm, norm l2, 0.5: 78", "works in the linf ball"),
        (78, "got int"),
    ],
)
def test_a_claim_that_cannot_be_read_is_answered_in_a_line(text, says):
    with pytest.raises(UsageError, match=says) as caught:
        Claim.parse(text)
    assert "\n" not in str(caught.value)


def test_wrong_arguments_are_named():
    x, y = digits()
    model = audited.plain()
    for claim, options, says in (
        ("pgd, 0: 5", {}, "eps must be a finite number > 0"),
        (PGD_10, {"effort": "long"}, "effort must be one of short, full"),
    ):
        with pytest.raises(ValueError, match=says):
            audit(model, x, y, claim, **options)
    with pytest.raises(ValueError, match="holds none"):
        audit(model, x[:0], y[:0], PGD_10)


def test_it_is_three_lines_of_python():
    x, y = digits()
    found = lrbench.audit(audited.plain(), x[:30], np.asarray(y[:30]), claim="pgd, steps 3, 0.4: 78.5")
    assert "left after all" in str(found)
    # Where the claim's attack leaves fewer than ten, others are looked at as well.
    assert round(30 * found.own.value) < found.shares.images
    assert f"Of {found.shares.images} images that were looked at" in str(found)


@pytest.mark.parametrize("noise", ["dropout", "added"])
def test_a_network_that_draws_is_judged_by_one_draw_whatever_was_drawn_before(noise):
    changed = {"dropout": lambda x: functional.dropout(x, 0.2), "added": lambda x: x + 0.1 * torch.randn_like(x)}[noise]
    net, images, claim = audited.Around(audited.plain(), before=changed), digits(16), "pgd, steps 3, 0.02"
    kept = {}
    torch.manual_seed(0)
    first = audited_with(net, images, claim, keep=kept.__setitem__)
    assert (first.verdict.bill, first.verdict.cause) == ("clean", "noisy"), str(first)
    torch.manual_seed(1)
    again = audited_with(net, images, claim, known=dict(list(kept.items())[:4]))
    resumed = audited_with(net, images, claim, known=kept)
    assert first.verdict == again.verdict == resumed.verdict
    assert first.shares == again.shares == resumed.shares


def test_a_reason_is_given_once_for_all_that_were_not_tried():
    assert list(not_tried({})) == []
    reasons = {"float64": "no copy", "adaptive": "no LR-Layers", "transfer": "no copy"}
    assert list(not_tried(reasons)) == ["Not tried: float64, transfer (no copy); adaptive (no LR-Layers)."]
