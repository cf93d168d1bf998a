"""Which GPU a process of several takes, on a machine that has some."""

import os

import pytest
import torch

from lrbench.engines.inside import NUMBER
from lrbench.runner.environment import own_device


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    return chosen


@pytest.mark.parametrize(("number", "count", "expected"), [(0, 4, 0), (3, 4, 3), (5, 4, 1), (2, 1, 0)])
def test_processes_take_one_gpu_after_the_other(monkeypatch, taken, number, count, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setitem(os.environ, NUMBER, str(number))
    assert own_device(torch.device("cuda")) == torch.device("cuda", expected)
    assert taken == [torch.device("cuda", expected)]


@pytest.mark.parametrize("name", ["cpu", "cuda:1"])
def test_a_device_that_was_named_is_taken(monkeypatch, taken, name):
    monkeypatch.setitem(os.environ, NUMBER, "3")
    assert own_device(torch.device(name)) == torch.device(name)
    assert not taken
