import math

import foolbox
import pytest
import torch
import torchattacks
from art.attacks.evasion import BasicIterativeMethod
from art.estimators.classification import PyTorchClassifier
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lrbench.attacks import IterFSGM, IterLLFSGM, NormalizedSpace, paper_steps

EPS, STEP, STEPS = 8 / 255, 2 / 255, 7


def by_art(model, x, y):
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), x.shape[1:], 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    attack = BasicIterativeMethod(classifier, eps=EPS, eps_step=STEP, max_iter=STEPS, batch_size=len(x), verbose=False)
    return torch.from_numpy(attack.generate(x.numpy(), functional.one_hot(y, 10).numpy()))


def by_foolbox(model, x, y):
    attack = foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=STEP, steps=STEPS, random_start=False)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    return attack(wrapped, x, foolbox.criteria.Misclassification(y), epsilons=EPS)[1]


def by_torchattacks(model, x, y):
    return torchattacks.BIM(model, eps=EPS, alpha=STEP, steps=STEPS)(x, y)


@pytest.mark.parametrize("reference", [by_art, by_foolbox, by_torchattacks])
def test_iter_fsgm_equals_the_basic_iterative_method_of(reference, small_net, batch):
    x, y = batch
    expected = reference(small_net, x.clone(), y.clone()).detach()
    found = IterFSGM(EPS, STEP, STEPS)(small_net, x, y)
    assert (found - expected).abs().max() <= 1e-6
    assert (found - x).abs().max() > EPS / 2  # the comparison is of attacks that move


def test_iter_ll_fsgm_equals_the_paper_s_formula(small_net, batch):
    x, y = batch
    eps = 6 / 255
    expected = x.clone()
    for _ in range(8):  # min(6 + 4, 7.5), rounded up
        expected = expected.detach().requires_grad_()
        probabilities = small_net(expected).softmax(dim=1)
        y_t = probabilities.argmin(dim=1)
        loss = -probabilities.gather(1, y_t[:, None]).log().sum()
        gradient = torch.autograd.grad(loss, expected)[0]
        expected = torch.max(torch.min(expected - eps * gradient.sign(), x + eps), x - eps)
    found = IterLLFSGM(eps, bounds=None)(small_net, x, y)
    assert (found - expected).abs().max() <= 1e-6
    assert torch.equal(found, IterLLFSGM(eps, bounds=None)(small_net, x, (y + 1) % 10)), "the label is not used"


def test_the_least_likely_class_is_chosen_anew_in_every_iteration():
    class Watched(nn.Module):
        """Two inputs, three classes; pushing towards the least likely class makes another one the least likely."""

        def forward(self, x):
            flat = x.flatten(1)
            return torch.stack([flat[:, 0] * 0 + 0.5, flat[:, 0], 1.2 - flat[:, 0]], dim=1)

    x, y = torch.full((1, 1, 1, 2), 0.55), torch.tensor([0])
    one = IterLLFSGM(0.2, step_size=0.1, steps=1, bounds=None)(Watched(), x, y)
    two = IterLLFSGM(0.2, step_size=0.1, steps=2, bounds=None)(Watched(), x, y)
    assert one[0, 0, 0, 0] < x[0, 0, 0, 0] or one[0, 0, 0, 0] > x[0, 0, 0, 0]
    assert torch.allclose(two[0, 0, 0, 0], x[0, 0, 0, 0], atol=1e-6), "the second step goes back: its target is another"


@pytest.mark.parametrize(
    ("e", "steps"),
    [(0, 1), (0.5, 1), (1, 2), (2, 3), (4, 5), (8, 10), (16, 20), (17, 21), (32, 36), (64, 68), (255, 259)],
)
def test_paper_steps(e, steps):
    assert paper_steps(e / 255) == steps
    assert IterFSGM(e / 255).steps == steps
    assert IterFSGM(e / 255).step_size == e / 255


@given(e=st.floats(0, 1000))
def test_paper_steps_follow_the_formula(e):
    exact = min(e + 4, 1.25 * e)
    assert math.ceil(exact - 1e-5) <= paper_steps(e / 255) <= max(1, math.ceil(exact + 1e-5))


def test_without_bounds_pixels_may_leave_the_unit_range(small_net, batch):
    x, y = batch
    assert IterFSGM(0.2, bounds=None)(small_net, x, y).min() < 0
    assert IterFSGM(0.2)(small_net, x, y).aminmax() == (0.0, 1.0)


def test_normalized_space_is_pixel_space_scaled_by_the_standard_deviation(small_net, batch):
    x, y = batch
    mean, std = (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)
    space = NormalizedSpace(small_net, mean, std)
    z = space.encode(x)
    assert torch.allclose(space.decode(z), x, atol=1e-6)
    assert torch.allclose(space(z), small_net(x), atol=1e-4)
    delta = space.decode(IterFSGM(8 / 255, steps=1, bounds=None)(space, z, y)) - x
    assert torch.allclose(delta.abs().amax(dim=(0, 2, 3)), 8 / 255 * torch.tensor(std), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eps": -0.1}, "eps must be"),
        ({"eps": float("inf")}, "eps must be"),
        ({"eps": 0.1, "step_size": -1.0}, "step_size must be"),
        ({"eps": 0.1, "steps": 0}, "steps must be"),
        ({"eps": 0.1, "bounds": (1.0, 0.0)}, "bounds must be"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        IterFSGM(**options)
