"""What models give, for all that takes a model: the table of docs/inputs.md."""

import warnings
from functools import cache

import pytest
import torch
from support.inputs import rows
from support.models import NO_LOGITS, SAME, Wrapped, net_of
from support.takers import EACH, TAKERS, examined, same
from torch import nn

from lrbench.attacks.outputs import OutputError
from lrbench.attacks.regular import LogitsWarning

X = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class TwoLogits(nn.Module):
    """The logits that one logit stands for."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        z = self.net(x)
        return torch.cat([torch.zeros_like(z), z], dim=1)


class Attributes(dict):
    """Like a `ModelOutput` of transformers: a mapping that gives its values as attributes."""

    __getattr__ = dict.__getitem__


TAKEN = {
    "logits (N, classes)": [lambda z: z],
    "another floating point dtype than x": [SAME["double"]],
    "(N, classes, 1, 1)": [SAME["trailing ones"], lambda z: z[..., None]],
    "one logit, (N, 1) or (N,)": [
        lambda z: z, lambda z: z[:, 0], lambda z: z[:, :, None, None], lambda z: {"logits": z}],
    "mapping, dataclass or named tuple with `logits`": [
        SAME["a dict"], SAME["a dataclass"], SAME["a named tuple"],
        lambda z: Attributes(logits=z, loss=z.sum(), past=(z,))],
    "anything that holds a single tensor": [
        SAME["a tuple of one"], SAME["a list of one"], SAME["a dict of one"], lambda z: (z, None),
        lambda z: {"out": z, "loss": 0.5}],
}  # fmt: skip
REFUSED = {
    "a tuple of several, a mapping without `logits`": [
        ("a tuple of two", "this one gave a tuple of 2: wrap it so that it gives the logits alone"),
        ("a dict without logits", r"this one gave a dict of 2 \(a, b\): wrap it"),
        ("a dataclass without logits", r"this one gave a Pair of 2 \(first, second\): wrap it")],
    "classes instead of logits (integers)": [
        ("classes", r"gave torch.int64 of shape \(4,\): classes rather than logits")],
    "complex numbers, text, None": [
        ("complex", "this one gave torch.complex128 of shape"), ("text", "this one gave a str"),
        ("none", "this one gave a NoneType")],
    "sparse or nested": [("sparse", "gave a sparse_coo tensor: give a dense one")],
    "maps, a scalar, rows for other inputs": [
        ("maps", r"for 4 inputs this one gave shape \(4, 10, 4, 4\)"),
        ("a scalar", r"for 4 inputs this one gave shape \(\)"),
        ("fewer", r"for 4 inputs this one gave shape \(3, 10\)")],
    "NaN for one of the first inputs": [("not a number", "the model gives NaN for 4 of the first 4 inputs")],
}  # fmt: skip


def flat(table):
    return [pytest.param(case, row, id=f"{row}-{n}") for row, cases in table.items() for n, case in enumerate(cases)]


@pytest.fixture(params=EACH)
def name(request):
    return request.param


def right(model):
    with torch.no_grad():
        return model(X).argmax(dim=1)


def test_the_table_is_what_is_tested_here():
    table = dict(rows("Outputs"))
    assert {name for name, outcome in table.items() if outcome != "refused"} == set(TAKEN)
    assert {name for name, outcome in table.items() if outcome == "refused"} == set(REFUSED)


@cache
def given_for(name, *, single):
    """A network, of which one logit is asked or all, classes, and what a taker gives of the plain logits."""
    net = net_of((3, 8, 8), 1 if single else 10)
    like = TwoLogits(net) if single else net
    y = right(like)
    return net, y, None if name == "apgd-t" and single else TAKERS[name](like, X, y)


@pytest.mark.turns("form")
@pytest.mark.parametrize(("form", "row"), flat(TAKEN))
def test_outputs_that_are_taken_give_what_their_logits_give(name, form, row):
    single = row.startswith("one logit")
    net, y, expected = given_for(name, single=single)
    if name == "apgd-t" and single:
        with pytest.raises(ValueError, match="needs at least 4 classes; this model has 2"):
            TAKERS[name](Wrapped(net, form), X, y)
        return
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = TAKERS[name](Wrapped(net, form), X, y)
    assert same(found, expected)
    assert any(each.category is LogitsWarning for each in warned) == single


@pytest.mark.parametrize(("case", "row"), flat(REFUSED))
def test_what_is_no_logits_is_named(name, case, row):
    form, message = case
    net = net_of((3, 8, 8), 10)
    with pytest.raises(OutputError, match=message) as error:
        TAKERS[name](Wrapped(net, NO_LOGITS[form]), X, right(net))
    assert "\n" not in str(error.value), row


def test_probabilities_are_taken_and_the_checks_tell_of_them():
    net = net_of((3, 8, 8), 10)
    found = examined(Wrapped(net, lambda z: z.softmax(dim=1)), X, right(net))
    assert ("probabilities", 1.0, True) in found
    assert ("probabilities", 0.0, False) in examined(net, X, right(net))
