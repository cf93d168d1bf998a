"""Whatever an attack of another library does, it keeps what ours promise."""

import logging
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.attacks.adapted import ExternalAttack, ExternalAttackError, Threat, factory_for
from lrbench.attacks.geometry import length
from lrbench.attacks.gradients import NoGradientError
from lrbench.attacks.outputs import OutputError

EPS = 0.1


def made(call, kind="bounded", norm="linf", bounds=(0.0, 1.0), seed=0, one_by_one=False):
    return ExternalAttack("art:Mine", kind, call, Threat(EPS, norm, bounds), seed=seed, one_by_one=one_by_one)


class Brighter(nn.Module):
    """Whether an image is brighter than half."""

    def forward(self, x):
        mean = x.flatten(1).mean(dim=1)
        return torch.stack([0.5 - mean, mean - 0.5], dim=1)


def images(count=6):
    return 0.2 + 0.6 * torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def some(count=6):
    return torch.zeros(count, dtype=torch.int64)


@pytest.mark.parametrize(("norm", "far"), [("linf", EPS), ("l2", EPS / 48**0.5), ("l1", EPS / 48)])
def test_what_leaves_the_ball_is_brought_back_where_it_is_near_and_else_refused(norm, far):
    x = images()
    near = made(lambda _, x, __: x + 1.0005 * far, norm=norm)(Brighter(), x, some())
    assert length(near - x, norm).max() <= EPS * (1 + 1e-5)
    with pytest.raises(ValueError, match=r"art:Mine went \S+ beyond eps = 0\.1 in "):
        made(lambda _, x, __: x + 2 * far, norm=norm)(Brighter(), x, some())


def test_a_minimal_attack_gives_what_fools_within_the_bounds_and_else_the_image():
    x = torch.full((6, 1, 2, 2), 0.3)
    x[3:, 0, 1, 1] = 0
    moves = torch.tensor([0.1, 0.3, -0.2, 0.1, 0.3, -0.2])[:, None, None, None]

    def call(_, x, __):
        found = x + moves
        found[3:, 0, 1, 1] += 3
        return found

    found = made(call, "minimal")(Brighter(), x, some())
    assert torch.equal(found[[0, 2, 5]], x[[0, 2, 5]]), "nor do those move that fool beyond the bounds alone"
    assert torch.allclose(found[1], x[1] + 0.3)
    assert found[3:5].flatten(1).amax(dim=1).tolist() == [1, 1]


def test_a_minimal_attack_is_asked_of_what_is_classified_correctly_alone():
    asked, x = [], images()
    y = Brighter()(x).argmax(dim=1)
    y[::2] = 1 - y[::2]
    found = made(lambda _, x, y: (asked.append((x, y)), x)[1], "minimal")(Brighter(), x, y)
    assert torch.equal(asked[0][0], x[1::2])
    assert torch.equal(asked[0][1], y[1::2])
    assert torch.equal(found, x)


def test_one_by_one_it_never_sees_two_images():
    for one_by_one, sizes in ((True, [1] * 6), (False, [6])):
        asked = []
        attack = made(lambda _, x, __, asked=asked: (asked.append(len(x)), x)[1], one_by_one=one_by_one)
        attack(Brighter(), images(), some())
        assert asked == sizes


DRAWS = {
    "random": random.random,
    "numpy": np.random.rand,
    "numpy's own": lambda: np.random.RandomState().rand(),
    "torch": lambda: torch.rand(()).item(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_what_it_draws_hangs_on_the_seed_and_the_image_alone(draw):
    def drawn(x, seed=0):
        kept = []
        made(lambda _, x, __: (kept.append(draw()), x)[1], seed=seed)(Brighter(), x, some(len(x)))
        return kept[0]

    first = drawn(images())
    draw()
    assert drawn(images()) == drawn(images()[:2]) == first
    assert drawn(images(), seed=1) != first
    assert drawn(images().flip(0)) != first


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_caller_s_generators_are_as_they_were(draw):
    before = random.getstate(), np.random.get_state(), torch.get_rng_state(), np.random.RandomState  # noqa: NPY002
    made(lambda _, x, __: (draw(), x)[1])(Brighter(), images(), some())
    after = np.random.get_state()  # noqa: NPY002
    assert random.getstate() == before[0]
    assert all(np.array_equal(one, other) for one, other in zip(after, before[1], strict=True))
    assert torch.equal(torch.get_rng_state(), before[2])
    assert np.random.RandomState is before[3]


@pytest.mark.parametrize("fails", [False, True])
def test_its_words_and_the_caller_s_defaults_are_kept_apart(fails):
    logger, seen = logging.getLogger("art"), []

    def call(_, x, __):
        seen.extend((torch.get_default_dtype(), torch.is_grad_enabled(), logger.isEnabledFor(logging.WARNING)))
        warnings.warn("of the library", UserWarning, stacklevel=1)
        if fails:
            msg = "of the library"
            raise RuntimeError(msg)
        return x

    torch.set_default_dtype(torch.float64)
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings(record=True) as warned, torch.no_grad():
            warnings.simplefilter("always")
            if fails:
                with pytest.raises(ExternalAttackError, match="art:Mine"):
                    made(call)(Brighter(), images(), some())
            else:
                made(call)(Brighter(), images(), some())
        assert torch.get_default_dtype() == torch.float64
        assert logger.level == logging.WARNING
        assert not warned
        assert seen == [torch.float32, True, False]
    finally:
        torch.set_default_dtype(torch.float32)
        logger.setLevel(before)


@pytest.mark.parametrize("error", [NoGradientError, OutputError])
def test_what_we_say_of_the_model_ourselves_is_said_as_it_is(error):
    def call(_, __, ___):
        msg = "of the model"
        raise error(msg)

    with pytest.raises(error, match=r"^of the model$"):
        made(call)(Brighter(), images(), some())


def test_a_constructor_takes_a_threat_model_that_there_is():
    def factory(name, **options):
        return factory_for(name, "bounded", [], lambda _threat, _options: lambda _, x, __: x, **options)

    factory_of_two = factory("art:BoundaryAttack", norms=("l2", "l1"))
    assert (factory_of_two().norm, factory_of_two(norm="l1").norm) == ("l2", "l1")
    for wrong in ({"norm": "linf"}, {"eps": -1.0}, {"bounds": (1.0, 0.0)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            factory_of_two(**wrong)
    for name, expected in (("art:BoundaryAttack", False), ("art:FastGradientMethod", True)):
        assert factory(name).needs_gradients is factory(name)().needs_gradients is expected


@pytest.mark.usefixtures("uncollected")
def test_where_memory_runs_out_fewer_images_are_given_to_it():
    asked = []

    def call(_, x, __):
        asked.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return x

    made(call)(Brighter(), images(), some())
    assert asked[0] == 6
    assert max(asked[-3:]) <= 2


def test_its_cost_follows_from_the_options_that_were_given():
    def passes_with(given):
        threat, defaults = Threat(EPS, "linf", None), {"steps": 40}
        attack = ExternalAttack(
            "a:B", "bounded", None, threat, seed=0, one_by_one=False, options=given, defaults=defaults
        )
        return attack.passes

    passes = [passes_with(given) for given in ({}, {"steps": 40}, {"steps": 80})]
    assert passes[0] == passes[1] != passes[2]
