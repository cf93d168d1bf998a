"""Attacks of one's own that are none."""

import pytest
import torch

from lrbench.attacks import Attack


@pytest.mark.parametrize("kind", ["bounded", "minimal", "noise"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda x: x[:1], r"shape \(1, 3, 4, 4\)"),
        (lambda x: x.flatten(1), r"shape \(5, 48\)"),
        (lambda _: torch.zeros(()), r"shape \(\)"),
        (lambda x: [x], "list"),
        (lambda _: None, "NoneType"),
    ],
)
def test_one_that_gives_no_input_each_is_named(small_net, kind, given, told):
    mine = type("Mine", (Attack,), {"kind": kind, "run": lambda _, __, x, ___: given(x)})
    with pytest.raises(ValueError, match=rf"Mine gave {told} for inputs of shape \(5, 3, 4, 4\)"):
        mine()(small_net, torch.rand(5, 3, 4, 4), torch.zeros(5, dtype=torch.int64))


def test_a_kind_that_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match=r"Mine\.kind is 'bouned'; it is one of bounded, minimal, noise"):
        type("Mine", (Attack,), {"kind": "bouned", "run": lambda _, __, x, ___: x})
