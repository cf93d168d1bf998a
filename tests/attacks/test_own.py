"""Attacks of one's own that are none."""

import pytest
import torch

from lrbench.attacks import Attack


@pytest.mark.parametrize("kind", ["bounded", "minimal", "noise"])
@pytest.mark.parametrize(
    ("given", "description"),
    [
        (lambda x: x[:1], r"shape \(1, 3, 4, 4\)"),
        (lambda x: x.flatten(1), r"shape \(5, 48\)"),
        (lambda _: torch.zeros(()), r"shape \(\)"),
        (lambda x: [x], "list"),
        (lambda _: None, "NoneType"),
        (lambda x: x.to(torch.complex64), "complex64 on cpu"),
        (lambda x: x.long(), "int64 on cpu"),
        (lambda x: x.to_sparse(), "float32 on cpu, torch.sparse_coo"),
        (lambda x: x.to("meta"), "float32 on meta"),
        (lambda x: x * float("nan"), "NaN or infinite entries"),
        (lambda x: torch.where(x == x.max(), torch.inf, x), "NaN or infinite entries"),
    ],
)
def test_one_that_gives_no_input_each_is_named(small_net, kind, given, description):
    mine = type("Mine", (Attack,), {"kind": kind, "run": lambda _, __, x, ___: given(x)})
    with pytest.raises(ValueError, match=rf"Mine gave {description} for inputs of shape \(5, 3, 4, 4\)"):
        mine()(small_net, torch.rand(5, 3, 4, 4), torch.zeros(5, dtype=torch.int64))


@pytest.mark.parametrize("kind", ["bouned", None, 5, ["bounded"]])
def test_a_kind_that_there_is_none_of_is_refused(kind):
    with pytest.raises(ValueError, match=r"Mine\.kind is .*; it is one of bounded, minimal, noise"):
        type("Mine", (Attack,), {"kind": kind, "run": lambda _, __, x, ___: x})


def spoiling(_, __, x, y):
    x += 0.25
    y[:] = (y + 1) % 10
    return x


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
@pytest.mark.parametrize("kind", ["bounded", "minimal", "noise"])
def test_one_that_works_in_place_attacks_and_changes_nothing_of_the_caller_s(small_net, kind, bounds):
    mine = type("Mine", (Attack,), {"kind": kind, "bounds": bounds, "run": spoiling})
    x, y = 0.5 * torch.rand(5, 3, 4, 4), torch.arange(5)
    before = x.clone(), y.clone()
    found = mine()(small_net, x, y)
    assert torch.equal(found, before[0] + 0.25)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("kind", ["bounded", "minimal", "noise"])
def test_what_it_gives_lies_in_the_bounds_with_the_dtype_of_the_inputs(small_net, kind):
    run = lambda _, __, x, ___: (x.double() + 5).requires_grad_()  # noqa: E731
    mine = type("Mine", (Attack,), {"kind": kind, "bounds": (0.0, 1.0), "run": run})
    found = mine()(small_net, torch.rand(5, 3, 4, 4), torch.zeros(5, dtype=torch.int64))
    assert (found.dtype, found.requires_grad, found.max().item()) == (torch.float32, False, 1.0)
