"""Networks whose robust accuracy is not what the usual attack says, one way each, and honest ones."""

from functools import cache
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from lrbench.attacks import FGSM, PGD
from lrbench.data import to_unit
from lrbench.data.sources import digits

CLASSES, SIDE = 5, 16

SEED = 0
"""Of all trainings; verdicts are the same with others."""


def patterns(count, seed, amplitude=0.05, noise=0.25):
    """Images (N, 1, 16, 16) of five random sign patterns in noise, and their classes."""
    signs = torch.randint(0, 2, (CLASSES, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    y = torch.arange(count) % CLASSES
    drawn = torch.randn(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return (0.5 + amplitude * signs[y] + noise * drawn).clamp(0, 1), y


@cache
def digit_images(part, count):
    """Images (N, 1, 8, 8) of digits, and their classes."""
    split = getattr(digits(Path(), train=None, test=None), part).balanced(count)
    return to_unit(split.images), split.labels


def fitted(net, x, y, attack=None, epochs=8, rate=3e-3):
    """Train, on what an attack makes of the images if there is one."""
    optimiser, generator = torch.optim.Adam(net.parameters(), rate), torch.Generator().manual_seed(SEED)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(64):
            seen = x[rows] if attack is None else attack(net, x[rows], y[rows])
            net.train()
            loss = functional.cross_entropy(net(seen), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()


class Winners(nn.Module):
    """k-winners-take-all: of an image's activations the largest pass, and the others are 0."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, x):
        flat = x.flatten(1)
        least = flat.topk(max(1, int(self.share * flat.shape[1])), dim=1).values[:, -1:]
        return torch.where(flat >= least, flat, 0.0).view_as(x)


class Centred(nn.Module):
    """Mean-centred thresholding (MeanSparse): what lies near the mean of its feature becomes the mean."""

    def __init__(self, features, width):
        super().__init__()
        self.register_buffer("mean", features.mean(dim=0))
        self.register_buffer("reach", width * features.std(dim=0))

    def forward(self, x):
        return torch.where((x - self.mean).abs() <= self.reach, self.mean, x)


def small_net(activation=nn.ReLU):
    """Ten classes from (1, 8, 8) images."""
    torch.manual_seed(SEED)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), activation(), nn.Conv2d(16, 16, 3, padding=1), activation(),
        nn.Flatten(), nn.Linear(256, 32), activation(), nn.Linear(32, 10),
    )  # fmt: skip


@cache
def plain():
    return fitted(small_net(), *digit_images("train", 1000), epochs=4)


class Centre(nn.Module):
    """Images as vectors around 0."""

    def forward(self, x):
        return (x - 0.5).flatten(1)


@cache
def pgd_trained():
    torch.manual_seed(SEED)
    net = nn.Sequential(Centre(), nn.Linear(SIDE * SIDE, 10), nn.ReLU(), nn.Linear(10, CLASSES))
    return fitted(net, *patterns(500, seed=1), PGD(0.03, steps=4), epochs=15, rate=2e-3)


def mean_sparse():
    centre, first, relu, last = pgd_trained()
    with torch.no_grad():
        features = first(centre(patterns(500, seed=1)[0]))
    return nn.Sequential(centre, first, Centred(features, 0.7), relu, last).eval()


@cache
def winners():
    return fitted(small_net(lambda: Winners(0.1)), *digit_images("train", 1000), epochs=8)


@cache
def single_step_trained():
    torch.manual_seed(SEED)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )  # fmt: skip
    x, y = digit_images("test", 100)

    def left(attack):
        return float((net(attack(net, x, y)).argmax(dim=1) == y).double().mean())

    # Until it withstands the single step alone, which is a matter of an epoch (catastrophic overfitting).
    for _ in range(20):
        fitted(net, *digit_images("train", 1000), FGSM(0.4), epochs=2)
        if left(FGSM(0.4)) - left(PGD(0.4, steps=10)) > 0.3:
            return net
    msg = "it did not overfit"
    raise AssertionError(msg)


class Around(nn.Module):
    """Does something with what a network is given, or gives."""

    def __init__(self, net, before=lambda x: x, after=lambda z: z):
        super().__init__()
        self.net, self.before, self.after = net, before, after
        self.eval()

    def forward(self, x):
        return self.after(self.net(self.before(x)))


def saturated():
    return Around(plain(), after=lambda z: 100 * z)


def quantised():
    return Around(plain(), before=lambda x: (x * 8).round() / 8)


def noisy():
    return Around(plain(), before=lambda x: functional.dropout(x, 0.6))


def close():
    return Around(plain(), after=lambda z: z / 1000)


def softmaxed():
    return Around(plain(), after=lambda z: (100 * z).softmax(dim=1))
