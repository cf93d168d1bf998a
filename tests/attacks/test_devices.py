"""Forward parts of attacks on a CUDA device, on any machine: nothing is left behind on the CPU, nothing is read."""

import pytest
import torch
from support import faked
from torch import nn
from torch._subclasses import FakeTensorMode

from lrbench.attacks import patches
from lrbench.attacks.geometry import BALLS
from lrbench.attacks.hyperplane import onto_hyperplane
from lrbench.attacks.losses import dlr, margin, misclassified
from lrbench.attacks.passes import logits_of
from lrbench.attacks.patches import MOVES
from lrbench.attacks.random_search import RandomSearch, Rules

N = 6


@pytest.fixture
def mode():
    return FakeTensorMode()


@pytest.fixture
def net(mode):
    with mode, torch.device("cuda"):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5)).eval()


def images():
    return torch.rand(N, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.zeros(N, dtype=torch.int64)


def test_logits_and_losses(mode, net):
    x, y = faked.on_cuda(mode, images())
    with mode, torch.no_grad():
        # Five: a pass is filled up.
        logits = logits_of(net, x[:5])
        found = [loss(logits, y[:5]) for loss in (margin, dlr, misclassified)]
    assert logits.shape == (5, 5)
    assert {each.device.type for each in (logits, *found)} == {"cuda"}


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_balls_and_hyperplanes(mode, norm, bounds):
    x, _ = faked.on_cuda(mode, images())
    with mode:
        inside = BALLS[norm].project(x + BALLS[norm].direction(x), x, 0.1, bounds)
        flat = x.flatten(1)
        moved = onto_hyperplane(flat, flat, flat.sum(dim=1), norm, bounds)
    assert (inside.device.type, moved.device.type) == ("cuda", "cuda")


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_pass_of_square(mode, net, norm, monkeypatch):
    monkeypatch.setattr(patches, "sent", torch.Tensor.to)  # no memory can be pinned here
    rules = Rules(0.1, 20, lambda _query: 3, BALLS[norm], 0, (0.0, 1.0))
    search = RandomSearch(net, *images(), rules, MOVES[norm]())
    search._draw(5)
    faked.moved(mode, search)
    faked.moved(mode, search.moves)
    search._passes = 1  # the number that the first pass sends is sent from an event
    with torch.no_grad(), mode:
        jobs = search.begin(torch.arange(N, device="cuda"), 0)
        for _ in range(3):
            search.advance(jobs)
        ended = search.end(jobs)
    assert {each.device.type for each in vars(jobs).values()} == {"cuda"}
    assert ended.points.shape == (N, 3, 8, 8)
