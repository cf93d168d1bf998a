"""Each check of attacks against each other is flagged just beyond the limit that its condition names, and not at it."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lrbench.attacks import Attack
from lrbench.diagnostics.masking import CHECKS, Budget, examine
from lrbench.diagnostics.masking.strength import stronger
from lrbench.diagnostics.masking.subject import Subject
from lrbench.models.questions import lacks_gradients

EPS = 0.1


def first(count, of=100):
    """So many of the images, from the first on."""
    return torch.arange(of) < count


def path(end, margins=None):
    return SimpleNamespace(end=end, margins=-torch.ones(10, len(end)) if margins is None else margins)


def found(check, of=100, **attacks):
    """What a check says where the attacks fooled these, and those that are not named nobody."""
    nobody = dict.fromkeys(("wrong", "single", "white", "stronger", "black", "noisy", "unlimited"), first(0, of))
    subject = {"transfers": (), "claimed": None, "path": path(first(0, of)), "clean_logits": torch.ones(of, 3)}
    return CHECKS[check].measure(SimpleNamespace(**nobody | subject | attacks))


def test_an_attack_is_stronger_by_more_than_a_point_and_hardly_by_chance():
    assert not stronger(first(10, 1000), first(0, 1000)).flagged, "a point"
    assert stronger(first(11, 1000), first(0, 1000)).flagged
    assert not stronger(first(7), first(0)).flagged, "p = 0.016"
    assert stronger(first(8), first(0)).flagged, "p = 0.008"
    assert not stronger(first(0), first(50)).flagged
    assert stronger(first(50), first(50), first(20)) == (pytest.approx(0.3), True)
    assert stronger(first(50), first(20), first(50)) == (pytest.approx(0.3), True)


STRONGER = {"single-step-stronger": "single", "black-box-stronger": "black", "noise-stronger": "noisy"}


@pytest.mark.parametrize(("check", "attack"), STRONGER.items())
def test_what_is_weaker_is_held_against_either_white_box_attack(check, attack):
    assert found(check, **{attack: first(50)}, white=first(20), path=path(first(50))) == (pytest.approx(0.3), True)
    assert found(check, **{attack: first(50)}, white=first(50), path=path(first(20))) == (pytest.approx(0.3), True)
    for others in (50, 80):
        assert not found(check, **{attack: first(50)}, white=first(others), path=path(first(others))).flagged


def test_images_that_are_wrong_from_the_start_count_under_a_transfer_attack():
    moved = first(50) & ~first(10)
    given = {"wrong": first(10), "white": first(40), "path": path(first(40)), "transfers": (first(0), moved)}
    assert found("transfer-stronger", **given) == (pytest.approx(0.1), True)
    assert not found("transfer-stronger", **given | {"white": first(50), "path": path(first(50))}).flagged


@pytest.mark.parametrize("own", ["stronger", "black", "noisy", "single"])
def test_any_attack_of_the_checks_shows_that_others_are_weak(own):
    claimed = first(40) & ~first(10)
    assert found("weaker-than-checks", **{own: first(50)}, wrong=first(10), claimed=claimed).flagged
    assert not found("weaker-than-checks", **{own: first(40)}, wrong=first(10), claimed=claimed).flagged


@pytest.mark.parametrize(
    ("iterated", "single", "flagged"), [(50, 9, True), (50, 10, False), (30, 5, True), (30, 6, False), (29, 0, False)]
)
def test_single_steps_alone_are_withstood_below_a_fifth_of_what_three_tenths_fall_to(iterated, single, flagged):
    given = {"wrong": first(20), "white": first(20 + iterated), "single": first(20 + single)}
    measured = found("single-step-only", **given)
    assert measured.flagged is flagged
    assert measured.figure == pytest.approx(single / iterated if iterated > 29 else float("nan"), nan_ok=True)


@pytest.mark.parametrize(
    ("fooled", "figure", "flagged"),
    [((20, 40, 60), -0.2, False), ((40, 20, 60), 0.2, True), ((20, 50, 40), 0.1, True), ((40, 40, 40), 0, False)],
)
def test_larger_radii_find_no_less(fooled, figure, flagged):
    small, middle, large = fooled
    asked = []

    def pgd(eps):
        asked.append(eps)
        return first(small if eps < EPS else large)

    given = {"eps": EPS, "norm": "linf", "bounds": (0.0, 1.0), "pgd": pgd, "path": path(first(middle))}
    assert found("not-growing-with-eps", **given) == (pytest.approx(figure), flagged)
    assert asked == [EPS / 2, 2 * EPS]


@pytest.mark.parametrize(
    ("norm", "bounds", "widest"), [("linf", (0.0, 1.0), 1.0), ("linf", None, 1.4), ("l2", (0.0, 1.0), 1.4)]
)
def test_the_larger_radius_ends_at_the_bounds(norm, bounds, widest):
    asked = []
    given = {"eps": 0.7, "norm": norm, "bounds": bounds, "pgd": lambda eps: (asked.append(eps), first(50))[1]}
    found("not-growing-with-eps", **given, path=path(first(50)))
    assert asked == pytest.approx([0.35, widest])


def test_without_a_radius_every_image_falls():
    assert found("unbounded-fails", unlimited=first(99)).flagged
    assert not found("unbounded-fails", unlimited=first(100)).flagged


def rising(late, steps=10, images=5):
    """Margins that rise by 1, of which a part in the last fifth of the steps, of images that withstood."""
    fifth = steps // 5
    early = torch.linspace(-3, -2 - late, steps - fifth)
    end = torch.linspace(-2 - late, -2, fifth + 1)[1:]
    return path(first(0, images), torch.cat([early, end])[:, None].expand(-1, images))


@pytest.mark.parametrize("steps", [10, 20, 40])
def test_a_fifth_of_the_rise_in_the_last_fifth_of_the_steps_is_no_more_than_usual(steps):
    assert found("still-rising", of=5, path=rising(0.19, steps)) == (pytest.approx(0.19), False)
    assert found("still-rising", of=5, path=rising(0.21, steps)) == (pytest.approx(0.21), True)


def test_whether_an_attack_was_still_rising_is_asked_of_five_images_and_ten_steps():
    assert found("still-rising", of=4, path=rising(0.5, images=4)) == (pytest.approx(float("nan"), nan_ok=True), False)
    assert not found("still-rising", of=5, path=rising(0.5, steps=9)).flagged
    fallen = path(first(20, 24), rising(0.5, images=24).margins)
    assert not found("still-rising", of=24, path=fallen).flagged, "four withstood"


def test_a_margin_that_comes_back_to_where_it_was_does_not_rise():
    margins = torch.tensor([-3.0, -2.5, -2.0, -2.9, -2.9, -2.9, -2.9, -2.9, -2.5, -2.0])[:, None].expand(-1, 5)
    assert found("still-rising", of=5, path=path(first(0, 5), margins)) == (0, False)


def test_a_class_that_is_ruled_out_hides_no_rise():
    ruled_out = torch.tensor([1.0, 0.0, -1e9]).expand(5, -1)
    assert found("still-rising", of=5, path=rising(0.5), clean_logits=ruled_out).flagged


@pytest.mark.parametrize(("left", "flagged"), [(5, False), (6, True)])
def test_success_on_the_way_that_is_not_there_at_the_end_is_silent_beyond_a_twentieth(left, flagged):
    margins = -torch.ones(10, 100)
    margins[4, : 20 + left] = 1.0
    assert found("silent-success", path=path(first(20), margins)) == (pytest.approx(left / 100), flagged)


@pytest.mark.parametrize(
    ("gained", "of", "flagged"), [(2, 100, False), (3, 100, True), (2, 50, False), (3, 150, False), (4, 150, True)]
)
def test_more_effort_helps_beyond_two_points_and_two_images(gained, of, flagged):
    measured = found("more-effort-helps", of=of, white=first(20, of), stronger=first(20 + gained, of))
    assert measured == (pytest.approx(gained / of), flagged)


class Plane(nn.Module):
    """Two classes on either side of a plane, which every gradient points to."""

    def __init__(self, distance=0.0, entries=4):
        super().__init__()
        self.distance = distance
        self.weight = nn.Parameter(torch.linspace(1, 2, entries))

    def forward(self, x):
        side = x.flatten(1) @ self.weight / self.weight.norm() - self.distance
        return torch.stack([-side, side], dim=1)


@pytest.mark.parametrize(("misled", "flagged"), [(10, False), (11, True)])
def test_gradients_mislead_beyond_a_tenth_of_the_images(misled, flagged):
    model, seen = Plane(), []
    x, y = torch.full((100, 4), 0.5), torch.ones(100, dtype=torch.int64)
    x[:, 0] = 1.0
    subject = SimpleNamespace(x=x, y=y, eps=EPS, norm="linf", bounds=(0.0, 1.0))
    subject.gradient_of = lambda _: torch.where(first(misled)[:, None], 1.0, -1.0) * model.weight.detach()
    subject.logits = lambda points: (seen.append(points), model(points))[1]
    measured = CHECKS["misleading-gradients"].measure(subject)
    assert seen[-1].max() <= 1
    assert (seen[-1] - x).abs().max() == pytest.approx(EPS / 10)
    assert measured == (pytest.approx(misled / 100), flagged)


@pytest.mark.parametrize(("unstable", "flagged"), [(10, False), (11, True)])
def test_predictions_are_unstable_beyond_a_tenth_of_the_images_whichever_draw_changes_them(unstable, flagged):
    x, seen = torch.rand(100, 4), []

    def logits(points):
        turned = first(unstable) & (torch.arange(100) % 5 == len(seen))
        seen.append(points)
        return nn.functional.one_hot(turned.long(), 2).float()

    subject = SimpleNamespace(x=x, seed=0, eps=EPS, norm="linf", bounds=(0.0, 1.0), logits=logits)
    subject.clean_logits = torch.tensor([1.0, 0.0]).expand(100, -1)
    assert CHECKS["unstable-predictions"].measure(subject) == (pytest.approx(unstable / 100), flagged)
    moved = torch.stack([(points - x).abs().amax() for points in seen])
    assert moved.max() <= EPS / 10 + 1e-6
    assert moved.min() > EPS / 20


def on_both_sides(count=60, entries=4):
    """Images at known distances from the plane, and the classes that they are of."""
    x = 0.5 + 0.4 * (torch.rand(count, entries, generator=torch.Generator().manual_seed(0)) - 0.5)
    return x, Plane(0.5 * Plane().weight.sum().item() / Plane().weight.norm().item())


class Undone(Attack):
    """Puts right what was wrong."""

    kind = "noise"

    def run(self, model, x, y):
        return torch.where((model(x).argmax(dim=1) == y)[:, None], x, 1 - x)


def test_who_was_wrong_from_the_start_is_fooled_by_every_attack():
    x, model = on_both_sides()
    subject = Subject(model, x, torch.zeros(60, dtype=torch.int64), EPS)
    assert 10 < subject.wrong.sum() < 50
    with torch.no_grad():
        assert (model(Undone()(model, x, subject.y)).argmax(dim=1) == 0).all()
    assert torch.equal(subject.fooled(Undone()), subject.wrong)
    assert torch.equal(subject.fooled(Undone(), 7), subject.wrong[:7])


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1.0), ("l2", 2.0)])
def test_a_single_step_goes_as_far_as_the_radius(norm, dual):
    x, model = on_both_sides()
    with torch.no_grad():
        logits = model(x)
    weight = model.weight.detach()
    distance = logits[:, 1].abs() * weight.norm() / torch.linalg.vector_norm(weight, dual)
    subject = Subject(model, x, logits.argmax(dim=1), 0.05, norm=norm)
    assert 5 < subject.single.sum() < 55
    assert torch.equal(subject.single, distance < 0.05)


@pytest.mark.parametrize(("norm", "away"), [("linf", 0.9), ("l2", 1.7), ("l1", 1.7)])
def test_without_a_radius_an_image_may_be_turned_into_any_other(norm, away):
    model, x = Plane(away), torch.zeros(3, 4)
    subject = Subject(model, x, torch.zeros(3, dtype=torch.int64), 0.01, norm=norm, budget=Budget(steps=10))
    assert not subject.white.any()
    assert subject.unlimited.all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_where_there_are_no_bounds_many_times_the_range_of_the_images_is_without_a_radius(norm):
    model, x = Plane(30.0), torch.eye(4)[:3]
    y, options = torch.zeros(3, dtype=torch.int64), {"norm": norm, "bounds": None, "budget": Budget(steps=10)}
    assert Subject(model, x, y, 0.01, **options).unlimited.all()
    far = Subject(model, 0.001 * x, y, 20.0, **options)
    assert far.unlimited.all(), "twice the radius is further"


def test_robust_accuracy_is_of_who_withstands_random_search_too():
    class Quantised(nn.Module):
        def forward(self, x):
            side = (20 * x).round().flatten(1).mean(dim=1) / 20 - 0.48
            return torch.stack([-side, side], dim=1)

    x = torch.full((50, 1, 8, 8), 0.51)
    found = examine(Quantised(), x, torch.ones(50, dtype=torch.int64), EPS, budget=Budget(steps=10, queries=100))
    assert found.accuracy == 1
    assert found.robust_accuracy == 0


@pytest.mark.parametrize(("without", "yes"), [(10, False), (11, True)])
def test_gradients_lack_beyond_a_tenth_of_the_images(without, yes):
    assert lacks_gradients(torch.where(first(without)[:, None], 0.0, 1.0).expand(-1, 3)) == (without / 100, yes)
    assert lacks_gradients(torch.where(first(without)[:, None], math.nan, 1.0).expand(-1, 3)) == (without / 100, yes)
