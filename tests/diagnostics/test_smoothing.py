"""Randomised smoothing against what is true of a linear classifier, and against the published algorithms."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm
from statsmodels.stats.proportion import proportion_confint
from support.nets import conv_net, images
from support.unchanged import differing, everything
from torch import nn

from lrbench.attacks.noise import Noise
from lrbench.diagnostics.smoothing import ABSTAINS, DRAWS, certify, predict

SIGMA = 0.5


def linear(direction):
    """Two classes, on either side of a plane through 0."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(len(direction), 2, bias=False))
    net[1].weight.data = torch.stack([-direction, direction])
    return net


@pytest.fixture(scope="module")
def gaussian_classes():
    """A linear classifier, images of two Gaussian classes, their labels, and their signed distances from the plane."""
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(4, generator=generator)
    unit = direction / direction.norm()
    y = torch.arange(150) % 2
    x = (0.7 * (2 * y - 1)[:, None] * unit + 0.4 * torch.randn(150, 4, generator=generator)).view(-1, 1, 2, 2)
    return linear(direction), x, y, (x.flatten(1) @ unit).double() * (2 * y - 1)


def test_a_known_radius_is_never_exceeded_and_nine_tenths_of_it_are_certified(gaussian_classes):
    net, x, y, distance = gaussian_classes
    found = certify(net, x, SIGMA, n=10_000)
    assert (found.radius <= distance.abs()).all()
    right = found.certified(y)
    assert (distance[right] > 0).all()
    # Beyond what so many draws can show, no radius is certified.
    known = distance.clamp(0, SIGMA * norm.ppf(0.001 ** (1 / 10_000)))
    assert found.radius.where(right, 0.0).mean() >= 0.9 * known.mean()
    for radius in (0.0, 0.2, 0.5, 1.0):
        truth = (distance >= radius).double().mean().item()
        assert found.accuracy(y, radius) <= truth
        assert found.accuracy(y, 0.9 * radius) >= 0.9 * truth


class First(nn.Module):
    """Logits are the entries of an input as they are, so that nothing is rounded."""

    def forward(self, x):
        return x.flatten(1)


def sample_under_noise(f, x, purpose, count, sigma):
    """Counts of each class: SampleUnderNoise of Cohen et al."""
    noise, counts = Noise(x[None], 7, purpose), np.zeros(x.numel(), dtype=int)
    for begin in range(0, count, DRAWS):
        drawn = noise.normal(min(DRAWS, count - begin), *x.shape)[0]
        for label in f(x + sigma * drawn).numpy().argmax(axis=1):
            counts[label] += 1
    return counts


def certify_transcribed(f, x, sigma, n0, n, alpha):
    guess = sample_under_noise(f, x, "guess", n0, sigma).argmax()
    count = sample_under_noise(f, x, "certify", n, sigma)[guess]
    low = proportion_confint(count, n, alpha=2 * alpha, method="beta")[0]
    return (guess, count, guess, sigma * norm.ppf(low)) if low > 0.5 else (guess, count, ABSTAINS, 0.0)


def predict_transcribed(f, x, sigma, n, alpha):
    counts = sample_under_noise(f, x, "predict", n, sigma)
    second, first = counts.argsort(kind="stable")[-2:]
    p = binomtest(int(counts[first]), int(counts[first] + counts[second]), 0.5).pvalue
    return first if p <= alpha else ABSTAINS


# The last is undecided between two classes, and the one before between three.
INPUTS = torch.tensor([[1.0, 0.0, 0.2], [0.1, 0.4, 0.0], [0.0, 0.1, 0.3], [0.2, 0.2, 0.2], [0.5, 0.5, 0.0]])


def test_certify_is_the_published_algorithm_with_the_published_parameters():
    found = certify(First(), INPUTS, SIGMA, n0=100, n=100_000, alpha=0.001, seed=7)
    expected = [certify_transcribed(First(), x, SIGMA, 100, 100_000, 0.001) for x in INPUTS]
    guessed, count, predicted, radius = map(list, zip(*expected, strict=True))
    assert found.guessed.tolist() == guessed
    assert found.count.tolist() == count
    assert found.predicted.tolist() == predicted
    assert found.radius.tolist() == pytest.approx(radius, rel=1e-6)
    assert predicted[0] == 0
    assert predicted[-2:] == [ABSTAINS, ABSTAINS]


@pytest.mark.parametrize("n", [50, 1010])
def test_predict_is_the_published_algorithm(n):
    found = predict(First(), INPUTS, SIGMA, n, 0.001, seed=7).tolist()
    assert found == [predict_transcribed(First(), x, SIGMA, n, 0.001) for x in INPUTS]
    assert found[0] == 0
    assert found[-1] == ABSTAINS


def test_who_abstains_is_not_right():
    found = certify(First(), INPUTS, SIGMA, n=1000)
    y = found.guessed
    abstained = found.predicted == ABSTAINS
    assert 0 < abstained.sum() < len(y)
    assert found.accuracy(y) == pytest.approx(1 - abstained.double().mean().item())
    assert (found.radius[abstained] == 0).all()


def test_noise_belongs_to_the_image_and_not_to_its_batch():
    net, (x, _) = conv_net().eval(), images(9)
    whole = certify(net, x, 0.3, n0=30, n=110, batch_size=1000)
    one_by_one = certify(net, x.flip(0), 0.3, n0=30, n=110, batch_size=1)
    assert torch.equal(whole.count, one_by_one.count.flip(0))
    assert torch.equal(whole.guessed, one_by_one.guessed.flip(0))
    assert not torch.equal(whole.count, certify(net, x, 0.3, n0=30, n=110, seed=1).count)


def test_the_model_is_left_as_it_was():
    net, (x, _) = conv_net(), images(2)
    before = everything(net, x)
    certify(net, x, 0.3, n0=4, n=4)
    assert not differing(before, everything(net, x))


def test_the_largest_radius_is_that_of_all_draws():
    found = certify(lambda x: torch.stack([x.sum(1), x.sum(1) - 1], 1), torch.zeros(1, 3), 2.0, n=500, alpha=0.01)
    assert found.radius.item() == pytest.approx(2 * norm.ppf(0.01 ** (1 / 500)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sigma": 0.0}, "sigma must be a finite number > 0"),
        ({"alpha": "0.1"}, "alpha must be a number, got '0.1'"),
        ({"alpha": 1.0}, r"alpha must be in \(0, 1\), got 1"),
        ({"n": 0}, "n must be at least 1"),
        ({"n": 100.0}, "n must be a whole number, got 100.0"),
        ({"n0": 0}, "n0 must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_arguments_out_of_range_are_named(given, said):
    with pytest.raises(ValueError, match=said):
        certify(First(), INPUTS, **{"sigma": 0.1, "n": 10} | given)


def test_logits_that_are_no_numbers_are_an_error():
    # Such as are found under noise alone: the model is looked at without any before.
    broken = nn.Sequential(nn.Flatten(), First())
    broken.forward = lambda x: x.masked_fill(x > 1, math.nan)
    with pytest.raises(ValueError, match=r"the model gives NaN for \d+ noisy images"):
        certify(broken, INPUTS.clamp(max=0.9), SIGMA, n=100)


@pytest.mark.cuda
def test_counts_are_those_of_the_cpu():
    net, (x, _) = conv_net().eval(), images(6)
    here = certify(net, x, 0.3, n=1000)
    there = certify(net.cuda(), x.cuda(), 0.3, n=1000)
    assert there.radius.device.type == "cuda"
    assert (there.count.cpu() - here.count).abs().max() <= 2


@pytest.mark.turns("roundings")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("roundings", [0.3, 1, 3, 30, 300])
def test_no_radius_is_exceeded_whatever_the_dtype_and_however_small_the_noise(dtype, roundings):
    """What is certified is the network behind the rounding of its inputs; its plane is half way between two numbers."""
    rounding = torch.finfo(dtype).eps / 2
    sigma, below = roundings * rounding, 0.75
    plane = below + rounding / 2
    values = torch.linspace(plane - 3 * sigma, plane + 3 * sigma, 60, dtype=torch.float64).to(dtype)
    x = torch.stack([values, torch.arange(60).to(dtype)], dim=1)

    def beyond(z):
        side = z[:, 0] > below
        return torch.stack([~side, side], dim=1).double()

    found = certify(beyond, x, sigma, n=20_000, alpha=1e-6, batch_size=4000)
    distance = (values.double() - plane).abs()
    assert (found.radius <= distance + 1e-3 * sigma).all()
    assert (found.predicted >= 0).any()
    # The noise has the size that it is said to have.
    certain = found.radius.where(found.predicted >= 0, torch.inf)
    near = distance < 2 * sigma
    assert (certain[near] >= 0.7 * distance[near] - 0.15 * sigma).all()


def test_copies_of_an_image_fail_independently():
    x = torch.full((60, 2), 0.02)
    x[::2] = 0.03
    counts = certify(lambda z: torch.stack([-z[:, 0], z[:, 0]], 1), x, 0.25, n=200).count
    assert len(counts[::2].unique()) > 10
    assert len(counts[1::2].unique()) > 10
    alone = certify(lambda z: torch.stack([-z[:, 0], z[:, 0]], 1), x[1:2], 0.25, n=200)
    assert counts[1] == alone.count


@pytest.mark.parametrize("asked", [certify, predict])
def test_no_images_are_refused(asked):
    with pytest.raises(ValueError, match="smoothing needs images"):
        asked(First(), INPUTS[:0], 0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_noise_meets_images_in_float32_and_is_rounded_once(dtype):
    seen = []

    def record(z):
        seen.append(z)
        return torch.zeros(len(z), 2)

    x = torch.rand(3, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    certify(record, x, 0.01, n0=DRAWS, n=1)
    exact = x[:, None].double() + 0.01 * Noise(x.float(), 0, "guess").normal(DRAWS, 5).double()
    noisy = next(each for each in seen if len(each) == 3 * DRAWS)
    assert noisy.dtype == dtype
    assert torch.equal(noisy, exact.flatten(0, 1).to(dtype))
