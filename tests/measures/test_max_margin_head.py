"""A max-margin classifier on a layer, attacked end to end."""

import pytest
import torch
from support.measured import board_of, net_of, split_of, subject_of, tables_of, taken, values
from torch import nn

from lrbench.attacks import PGD
from lrbench.data import to_unit
from lrbench.diagnostics import activations, compressed

OPTIONS = {"layer": "1", "dim": 6, "radii": [16 / 255, 4 / 255], "steps": 5, "samples": 60}


@pytest.fixture(scope="module")
def subject():
    """Classes that differ in brightness, and a network with random features and an end that knows nothing."""
    torch.manual_seed(0)
    net = net_of(nn.Linear(192, 12), nn.ReLU(), nn.Linear(12, 4))
    train, test = split_of(200), split_of(80, seed=1)
    for split in (train, test):
        split.pixels[:] = split.pixels // 4 + (48 * split.labels).view(-1, 1, 1, 1).to(torch.uint8)
    return subject_of(net, test, train)


@pytest.fixture(scope="module")
def rows(subject):
    return taken("max_margin_head", subject, **OPTIONS)


def test_figures_are_those_of_the_network_with_the_other_end(subject, rows):
    model, train, test = subject.model, subject.train, subject.test.balanced(60)
    head = compressed(model, "1", (activations(model, train, ["1"])["1"], train.labels), 6, subject.seed)
    x, y = to_unit(test.pixels), test.labels
    for part, network in (("full", model), ("head", head)):
        right = network(x).argmax(dim=1) == y
        assert values(rows, "head_accuracy", "part")[part] == right.double().mean().item()
        for radius in (4 / 255, 16 / 255):
            moved = PGD(radius, steps=5, loss="margin", stop=True)(network, x, y)
            right = right & (network(moved).argmax(dim=1) == y)
            found = values(rows, "head_robust_accuracy", "part", "radius")[part, repr(radius)]
            assert found == pytest.approx(right.double().mean().item())
    shares = values(rows, "head_accuracy", "part")
    assert shares["head"] > 2 * shares["full"]
    assert 0 < values(rows, "head_robust_accuracy", "part", "radius")["head", repr(4 / 255)] < 1


def test_both_stand_in_one_table(rows):
    title, headings = tables_of(board_of("max_margin_head", {"net": rows}, **OPTIONS)).popitem()
    assert title.startswith("Everything behind 1 replaced by a max-margin classifier, under PGD")
    assert headings == ["full, clean", "full, 4/255", "full, 16/255", "head, clean", "head, 4/255", "head, 16/255"]
