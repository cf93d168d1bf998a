"""The L1 ball, its projection beside other people's, and what steps in it."""

import foolbox
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from lrbench.attacks import APGD, PGD, Square, TargetedAPGD, UniformNoise
from lrbench.attacks.ascent import Rules
from lrbench.attacks.external import factory_of
from lrbench.attacks.geometry import BALLS, checked_projection, least_size
from lrbench.attacks.l1 import L1, _climbed, _sorted, entries_with_room, steepest_entries
from lrbench.attacks.losses import cross_entropy
from lrbench.attacks.noise import Noise
from lrbench.attacks.passes import Steady
from lrbench.attacks.patches import MOVES
from lrbench.attacks.sparse_ascent import SparseAscent, stages
from lrbench.leaderboard import wilson

BALL = L1()
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def sizes(x_adv, x):
    return (x_adv.double() - x.double()).abs().flatten(1).sum(dim=1)


def drawn(seed, features, scale, dtype=torch.float64, n=8):
    """Examples, many of whose entries are at a bound, and points around them, most of them outside the bounds."""
    generator = torch.Generator().manual_seed(seed)
    x = (1.4 * torch.rand(n, features, generator=generator, dtype=torch.float64) - 0.2).clamp(0, 1)
    ahead = x + scale * torch.randn(n, features, generator=generator, dtype=torch.float64) ** 3
    return x.to(dtype), ahead.to(dtype)


@given(st.integers(0, 10_000), st.floats(1e-3, 3.0), st.sampled_from([(0.0, 1.0), None]))
def test_the_projection_is_a_convex_solver_s(seed, eps, bounds):
    x, ahead = drawn(seed, 5, 1.0, n=1)
    found = (BALL.project(ahead, x, eps, bounds) - x)[0].numpy()
    start, delta = x[0].numpy(), (ahead - x)[0].numpy()
    # A perturbation as the difference of two parts that are not negative.
    up, down = (1 - start, start) if bounds else (np.full(5, np.inf), np.full(5, np.inf))
    best = minimize(
        lambda v: ((v[:5] - v[5:] - delta) ** 2).sum(),
        np.zeros(10),
        jac=lambda v: np.concatenate([2 * (v[:5] - v[5:] - delta), -2 * (v[:5] - v[5:] - delta)]),
        bounds=[(0, high) for high in (*up, *down)],
        constraints={"type": "ineq", "fun": lambda v: eps - v.sum(), "jac": lambda _: -np.ones(10)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    )
    assert np.abs(found).sum() <= eps + 1e-12
    assert ((found - delta) ** 2).sum() <= best.fun + 1e-9 * (1 + best.fun)
    assert np.allclose(found, best.x[:5] - best.x[5:], atol=1e-5)


@given(
    st.integers(0, 10_000), st.sampled_from([3, 192, 3072]), st.sampled_from([1e-4, 0.03, 1.0, 30.0]),
    st.sampled_from([1e-4, 1 / 255, 0.5, 12.0, 300.0]), st.sampled_from([(0.0, 1.0), None]),
)  # fmt: skip
def test_nothing_in_the_ball_is_nearer(seed, features, scale, eps, bounds):
    """The point p nearest to z makes <z - p, q - p> <= 0 for every q; it is largest at a corner or along the face."""
    x, ahead = drawn(seed, features, scale)
    found = BALL.project(ahead, x, eps, bounds)
    # Differences of float64 are no more exact than what is subtracted.
    assert (sizes(found, x) <= eps * (1 + 1e-12) + 1e-15 * sizes(ahead, x)).all()
    if bounds is not None:
        assert ((found >= 0) & (found <= 1)).all()
    for other in (x, *(BALL.project(x + step, x, eps, bounds) for step in (eps, -eps, 9 * (ahead - x), found - ahead))):
        gain = ((ahead - found) * (other - found)).sum(dim=1)
        assert (gain <= 1e-9 * (1 + (ahead - found).abs().sum(dim=1) * eps)).all()


@pytest.mark.parametrize("eps", [1e-3, 0.5, 4.0, 12.0, 60.0])
@pytest.mark.parametrize("scale", [0.03, 0.3, 3.0])
def test_the_projection_is_adv_lib_s(eps, scale):
    adv_lib = pytest.importorskip("adv_lib.utils.projections")
    x, ahead = drawn(0, 768, scale, torch.float32)
    free = adv_lib.l1_ball_euclidean_projection(ahead - x, torch.full((len(x),), eps))
    assert torch.allclose(BALL.project(ahead, x, eps, None) - x, free, atol=1e-5 * max(1, scale))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
def test_each_example_has_a_radius_of_its_own(bounds):
    x, ahead = drawn(0, 100, 0.3)
    radii = torch.tensor([0.0, 1e-3, 0.1, 0.5, 1.0, 5.0, 30.0, 1e6]).double()
    together = BALL.project(ahead, x, radii[:, None], bounds)
    alone = [BALL.project(ahead[[i]], x[[i]], radius, bounds) for i, radius in enumerate(radii.tolist())]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(together[0], x[0])
    assert torch.equal(together[-1], ahead[-1] if bounds is None else ahead[-1].clamp(0, 1))


@given(st.integers(0, 10_000), st.sampled_from([2, 7, 192]), st.sampled_from([0.0, 1e-6, 0.01, 1.0, 30.0]))
def test_newton_s_method_finds_the_threshold_that_sorting_does(seed, features, eps):
    generator = torch.Generator().manual_seed(seed)
    size = 3 * torch.randn(8, features, generator=generator, dtype=torch.float64).abs() ** 2
    # Some alike, and some without room.
    size[:, ::3] = (4 * size[:, ::3]).round() / 4
    room = torch.minimum(size, (1.2 * torch.rand(8, features, generator=generator).double() - 0.2).clamp_min(0))
    radius = torch.minimum(torch.full((8, 1), eps).double(), room.sum(dim=1, keepdim=True))
    for threshold in (_climbed(size, room, radius), _sorted(size, room, radius)):
        reached = torch.minimum((size - threshold).clamp_min(0), room).sum(dim=1, keepdim=True)
        assert torch.allclose(reached, radius, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("eps", [1e-6, 1e-3, 0.5, 12.0, 500.0])
def test_however_many_entries_are_rounded_alike_they_stay_in_the_ball(dtype, eps):
    """Of a constant image, moved alike everywhere, all errors have one sign: rounded to the nearest they add up."""
    grey = torch.full((2, 1, 64, 64), 0.7, dtype=dtype)
    ahead = (grey + torch.stack([torch.ones(1, 64, 64), torch.ones(1, 64, 64).cumsum(2) / 64])).to(dtype)
    found = BALL.project(ahead, grey, eps, None)
    # Differences of float64 are no more exact than its numbers.
    assert (sizes(found, grey) <= eps * (1 + 1e-12) + 1e-12 * (dtype == torch.float64)).all()
    assert torch.equal(BALL.project(found, grey, eps, None), found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("eps", [0.01, 1.0, 12.0])
def test_a_point_of_the_sphere_counts_however_it_was_rounded(dtype, eps):
    x, ahead = drawn(1, 3072, 0.05, dtype)
    delta = torch.where(torch.arange(3072) % 5 == 0, ahead.double() - x.double(), 0)
    delta = delta / delta.abs().sum(dim=1, keepdim=True) * eps
    rounded = (x.double() + delta).to(dtype)
    assert (least_size(rounded, x, "l1") <= eps).all()
    assert (sizes(checked_projection(rounded, x, eps, "l1", None, "an attack"), x) <= eps * (1 + 1e-12)).all()
    if dtype == torch.float32:
        assert (sizes(rounded, x) > eps).any(), "there is something to allow for"
        assert (least_size((x.double() + 1.001 * delta).to(dtype), x, "l1") > eps).all() or eps < 0.1
        with pytest.raises(ValueError, match=r"mine went .* beyond eps = .* in l1"):
            checked_projection((x.double() + 1.1 * delta + 0.01).to(dtype), x, eps, "l1", None, "mine")


def test_a_point_that_is_no_number_is_refused():
    x = torch.rand(3, 1, 4, 4)
    with pytest.raises(ValueError, match="mine went nan beyond"):
        checked_projection(x * torch.nan, x, 0.1, "l1", None, "mine")


def test_a_step_moves_a_hundredth_of_the_entries_by_equal_shares():
    gradient = torch.randn(4, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    gradient[1] = 0
    gradient[2, 0, 0, 0] = torch.nan
    step = BALL.direction(gradient)
    assert (step != 0).flatten(1).sum(dim=1).tolist() == [3, 0, 3, 3]
    assert step.abs().flatten(1).sum(dim=1).tolist() == pytest.approx([1, 0, 1, 1])
    largest = gradient[0].flatten().abs().topk(3).indices
    assert torch.equal(step[0].flatten()[largest], gradient[0].flatten()[largest].sign() / 3)
    assert (BALL.direction(torch.randn(2, 7)) != 0).sum(dim=1).tolist() == [1, 1], "one at least"


def test_as_many_entries_as_asked_are_steepest():
    gradient = torch.tensor([[3.0, -2.0, 1.0, 0.0], [3.0, -2.0, 1.0, 0.0], [1.0, 1.0, -1.0, 0.5]])
    found = steepest_entries(gradient, torch.tensor([1, 3, 1]))
    expected = [[1, 0, 0, 0], [1 / 3, -1 / 3, 1 / 3, 0], [1 / 3, 1 / 3, -1 / 3, 0]]
    assert torch.allclose(found, torch.tensor(expected)), "of equal entries all"


def test_what_a_bound_stops_is_left_out():
    x = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.5]])
    gradient = torch.tensor([[1.0, -1.0, 1.0, -1.0, 1.0]])
    assert entries_with_room(gradient, x, (0.0, 1.0)).tolist() == [[1, 0, 0, -1, 1]]
    assert torch.equal(entries_with_room(gradient, x, None), gradient)


def test_random_points_are_uniform_in_the_ball_and_those_of_the_sphere_on_it():
    x = torch.rand(4000, 1, 1, 3, generator=torch.Generator().manual_seed(0))
    found = BALL.random(x, 2.0, Noise(x, 0)) - x
    radius = found.abs().flatten(1).sum(dim=1) / 2
    assert radius.max() <= 1 + 1e-6
    assert (radius**3).mean() == pytest.approx(0.5, abs=0.02), "in three dimensions the cube is uniform"
    # Uniform on the simplex: each share has mean 1/3 and variance 1/18.
    share = found.abs().flatten(1) / found.abs().flatten(1).sum(dim=1, keepdim=True)
    assert share.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    assert share.var(dim=0).tolist() == pytest.approx([1 / 18] * 3, abs=0.006)
    assert (found > 0).double().mean() == pytest.approx(0.5, abs=0.02)
    assert torch.allclose(sizes(BALL.surface(x, 2.0, Noise(x, 0)), x), torch.tensor(2.0).double(), atol=1e-5)


def test_stages_are_the_authors():
    assert stages(100, larger=True) == [(3.0, 30), (2.0, 30), (1.0, 40)]
    assert stages(10, larger=True) == [(3.0, 3), (2.0, 3), (1.0, 4)]
    for steps in range(1, 8):
        assert sum(each for _, each in stages(steps, larger=True)) == steps
    assert stages(100, larger=False) == [(1.0, 100)]


def test_larger_radii_are_for_l1_alone():
    assert APGD(1.0, norm="l1").larger_radii
    assert not APGD(0.1).larger_radii
    for made in (APGD, TargetedAPGD):
        with pytest.raises(ValueError, match="larger_radii goes with norm l1, got linf"):
            made(0.1, larger_radii=True)


@pytest.fixture
def followed(trained, held_out):
    """A run's points, step by step, on images of which some withstand it."""
    x, y = held_out[0][:12], held_out[1][:12]

    def follow(*, larger):
        def objective(logits, y, _):
            return cross_entropy(logits, y)

        rules = Rules(1.0, 20, BALLS["l1"], 1, 0, (0.0, 1.0), objective, "restart", larger)
        search = SparseAscent(Steady(trained), x, y, rules, y[:, None])
        jobs, seen = search.begin(torch.arange(len(x)), 0), []
        for _ in range(search.shortest):
            search.advance(jobs)
            seen.append((jobs.x.clone(), jobs.count.clone(), jobs.size.clone(), jobs.fooled.clone()))
        assert jobs.over.all()
        return x, seen, search.end(jobs)

    return follow


def test_a_run_goes_from_three_times_the_radius_to_the_radius(followed):
    x, seen, ended = followed(larger=True)
    radii = [3.0] * 7 + [2.0] * 7 + [1.0] * 9
    assert len(seen) == len(radii) == 20 + 3
    for (point, *_), radius in zip(seen, radii, strict=True):
        assert (sizes(point, x) <= radius * (1 + 1e-9)).all()
    assert any((sizes(point, x) > 2.5).any() for point, *_ in seen[:7])
    assert not any(fooled.any() for *_, fooled in seen[:14]), "what lies outside the ball does not count"
    assert ended.succeeded.any()
    assert (sizes(ended.points, x) <= 1 + 1e-9).all()


def test_steps_get_sparser_and_shorter(followed):
    x, seen, _ = followed(larger=False)
    entries = x[0].numel()
    assert set(seen[0][1].tolist()) == {-(-entries // 5)}, "a fifth of the entries at first"
    assert (seen[-1][1] < seen[0][1]).all()
    lengths = torch.stack([size for _, _, size, _ in seen])
    assert lengths.max() == 1
    assert lengths.min() >= 0.1
    assert (lengths[1:] < lengths[:-1]).any()


def test_hills_have_the_sum_that_a_channel_may_have():
    moves, generator = MOVES["l1"](), torch.Generator().manual_seed(0)
    for side in (3, 5, 8):
        hill = moves._hill(side, turned=False)
        assert hill.abs().sum().item() == pytest.approx(1)
        assert hill[: side // 2].sum() > 0 > hill[side // 2 :].sum()
    x = torch.rand(2, 3, 8, 8, generator=generator)
    point = BALL.project(moves.begin(x, 2.0, moves.start((3, 8, 8), generator).to(x)), x, 2.0, None)
    draws = moves.draw((3, 8, 8), 3, generator)
    for_both = {name: value[None].expand(2, *value.shape) for name, value in draws.items()}
    moved = BALL.project(moves.move(point, x, 2.0, for_both), x, 2.0, None)
    assert not torch.equal(moved, point)
    assert (sizes(moved, x) <= 2.0 * (1 + 1e-9)).all()
    assert sizes(moved, x).min() > 1.9, "what one square gives another takes"


def test_attacks_are_as_strong_as_they_should_be(trained, held_out, fooled):
    x, y = held_out[0][:80], held_out[1][:80]
    rates = {
        name: fooled(trained, made(trained, x, y), y)
        for name, made in {
            "noise": UniformNoise(1.5, 5, norm="l1"),
            "square": Square(1.5, 100, norm="l1"),
            "step": PGD(1.5, 1.5, 1, norm="l1", random_start=False),
            "pgd": PGD(1.5, norm="l1", steps=20),
            "apgd": APGD(1.5, 30, norm="l1"),
        }.items()
    }
    viewed = foolbox.PyTorchModel(trained, bounds=(0, 1))
    theirs = foolbox.attacks.SparseL1DescentAttack(steps=20)(viewed, x, y, epsilons=1.5)[1]
    low, high = wilson(fooled(trained, theirs, y), len(x))
    assert low <= rates["pgd"] <= high
    assert fooled(trained, x, y) <= rates["noise"] < rates["square"] < rates["apgd"] < 0.98
    assert rates["noise"] < rates["step"] < rates["pgd"] <= rates["apgd"]


@pytest.mark.parametrize("larger", [True, False])
def test_apgd_succeeds_as_often_as_adv_lib_s(trained, held_out, fooled, larger):
    pytest.importorskip("adv_lib")
    x, y = held_out[0][:80], held_out[1][:80]
    options = {"n_iter": 30, "loss_function": "ce", "use_large_reps": larger}
    theirs = factory_of("adv-lib:apgd")(eps=1.5, norm="l1", **options)
    low, high = wilson(fooled(trained, theirs(trained, x, y), y), len(x))
    assert low <= fooled(trained, APGD(1.5, 30, norm="l1", larger_radii=larger)(trained, x, y), y) <= high
