"""A smoothed network as a model, and its robust accuracy between two bounds."""

import math

import pytest
import torch
from support.nets import conv_net, images
from torch import nn
from torch.nn import functional

import lrbench.diagnostics.smoothed
from lrbench.attacks import PGD
from lrbench.attacks.noise import Noise
from lrbench.diagnostics.smoothed import Smoothed, bracket
from lrbench.diagnostics.smoothing import certify


def test_logits_are_those_of_the_mean_probability():
    net, (x, _) = conv_net().eval(), images(3)
    found = Smoothed(net, 0.3, draws=5, seed=2)(x)
    for image, logits in zip(x, found, strict=True):
        noise = Noise(image[None], 2, "smoothed").normal(5, *image.shape)[0]
        expected = torch.stack([net((image + 0.3 * each)[None])[0].softmax(dim=0) for each in noise]).mean(dim=0)
        assert torch.allclose(logits.exp(), expected, atol=1e-6)


def test_the_loss_that_an_attack_raises_is_that_of_the_mean_probability():
    net, (x, y) = conv_net().eval(), images(3)
    smoothed = Smoothed(net, 0.3, draws=5)
    leaf = x.clone().requires_grad_()
    noise = Noise(x, 0, "smoothed").normal(5, *x.shape[1:])
    shares = net((leaf[:, None] + 0.3 * noise).flatten(0, 1)).softmax(dim=1).view(3, 5, -1).mean(dim=1)
    (expected,) = torch.autograd.grad(-shares[range(3), y].log().sum(), leaf)
    other = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(functional.cross_entropy(smoothed(other), y, reduction="sum"), other)
    assert torch.allclose(found, expected, atol=1e-6)


def test_an_image_has_its_noise_in_every_batch():
    net, (x, _) = conv_net().eval(), images(4)
    smoothed = Smoothed(net, 0.3, draws=4)
    assert torch.equal(smoothed(x), smoothed(x))
    assert torch.allclose(smoothed(x)[2:3], smoothed(x[2:3]), atol=1e-6)


@pytest.fixture(scope="module")
def halves():
    """A plane through the middle of images, images on either side of it, and their distances from it."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    net[1].weight.data, net[1].bias.data = torch.tensor([[-1.0] * 4, [1.0] * 4]) * 5, torch.tensor([10.0, -10.0])
    distance = torch.linspace(0.02, 0.8, 30)
    y = torch.arange(30) % 2
    x = (0.5 + (2 * y - 1)[:, None] * distance[:, None] / 2).expand(-1, 4).reshape(-1, 1, 2, 2)
    return net, x, y, distance


def test_the_truth_lies_between_the_two_bounds(halves):
    net, x, y, distance = halves
    found = bracket(net, x, y, 0.25, [0.4, 0.0, 0.2, 0.2], n=2000, steps=10, draws=8)
    assert found.radii == [0.0, 0.2, 0.4]
    for radius, certified, withstood in zip(found.radii, found.certified, found.withstood, strict=True):
        truth = distance >= radius
        assert (certified <= truth).all()
        assert (truth <= withstood).all()
        # A plane is crossed by the first step; beyond it lies where Predict is certain.
        assert not withstood[distance < radius - 0.05].any()
        assert certified[distance > radius + 0.1].all() or radius == 0.4
    assert (found.withstood[1:] <= found.withstood[:-1]).all()


def test_what_is_certified_withstands_the_attack_too():
    net, (x, _) = conv_net().eval(), images(8)
    y = certify(net, x, 0.1, n=400).guessed
    found = bracket(net, x, y, 0.1, [0.0, 0.1], n=400)
    sure = found.certified[1]
    assert sure.any()
    moved = PGD(0.1, steps=20, norm="l2")(Smoothed(net, 0.1, 8), x[sure], y[sure])
    assert (certify(net, moved, 0.1, n=400).predicted == y[sure]).all()


def test_who_is_certified_or_wrong_is_not_attacked(halves, monkeypatch):
    net, x, y, distance = halves
    asked = []

    def attack(_self, _model, x, _y):
        asked.append(len(x))
        return x

    monkeypatch.setattr(lrbench.diagnostics.smoothed.PGD, "__call__", attack)
    labels = y.clone()
    labels[-3:] = 1 - y[-3:]
    found = bracket(net, x, labels, 0.25, [0.0, 0.3], n=1000)
    assert sum(asked) == (found.withstood[0] & ~found.certified[1]).sum()
    assert not found.withstood[:, -3:].any()
    assert math.isclose(distance[0], 0.02, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"radii": [0.1, -1.0]}, "radius must be a finite number"),
        ({"radii": []}, "radii must hold one radius at least"),
        ({"radii": 0.1}, "radii must be numbers, got 0.1"),
        ({"radii": ["a"]}, "radii must be numbers"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"sigma": "1"}, "sigma must be a number, got '1'"),
        ({"alpha": None}, "alpha must be a number, got None"),
    ],
)
def test_arguments_out_of_range_are_named(halves, given, said):
    net, x, y, _ = halves
    with pytest.raises(ValueError, match=said):
        bracket(net, x, y, **{"sigma": 0.1, "radii": [0.0]} | given)


def test_images_that_no_attack_takes_are_refused_before_anything_is_certified(halves):
    net, x, y, _ = halves
    with pytest.raises(ValueError, match="outside the attack's bounds"):
        bracket(net, x + 1, y, 0.1, [0.1], done=lambda _share: pytest.fail("it was certified"))


def forms(net):
    """Outputs that are taken for the same logits."""
    return {
        "one": lambda x: net(x)[:, 1:] - net(x)[:, :1],
        "named": lambda x: {"logits": net(x)},
        "listed": lambda x: [net(x)],
        "a map of one pixel": lambda x: net(x)[:, :, None, None],
    }


@pytest.mark.filterwarnings("ignore::lrbench.attacks.regular.LogitsWarning")
@pytest.mark.parametrize("form", ["one", "named", "listed", "a map of one pixel"])
def test_whatever_form_logits_have_the_bounds_are_the_same(halves, form):
    net, x, y, _ = halves
    expected = bracket(net, x, y, 0.25, [0.0, 0.4], n=400)
    found = bracket(forms(net)[form], x, y, 0.25, [0.0, 0.4], n=400)
    assert torch.equal(found.certified, expected.certified)
    assert torch.equal(found.withstood, expected.withstood)
    assert torch.allclose(Smoothed(forms(net)[form], 0.25)(x).softmax(1), Smoothed(net, 0.25)(x).softmax(1), atol=1e-6)


def test_a_smoothed_network_takes_no_images():
    assert Smoothed(conv_net().eval(), 0.3)(images(4)[0][:0]).shape == (0, 4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_images_in_half_precision_are_attacked_within_the_radius(halves, dtype, monkeypatch):
    net, x, y, _ = halves
    moves, asked = [], PGD.__call__

    def attack(self, model, x, y):
        moved = asked(self, model, x, y)
        moves.append((moved.double() - x.double()).flatten(1).norm(dim=1).max())
        return moved

    monkeypatch.setattr(lrbench.diagnostics.smoothed.PGD, "__call__", attack)
    found = bracket(net.to(dtype), x.to(dtype), y, 0.25, [0.0, 0.3], n=400)
    net.float()
    assert max(moves) <= 0.3 * (1 + 1e-5)
    assert 0 < found.withstood[1].sum() < found.withstood[0].sum()
