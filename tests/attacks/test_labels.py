"""Labels in the forms that people bring, for all that takes labels: the table of docs/inputs.md."""

import numpy as np
import pytest
import torch
from support.inputs import rows
from support.models import net_of
from support.takers import EACH, TAKERS, same

X = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
TAKEN = {
    "integers of any dtype, a tensor (N,)": [
        lambda y, kind=kind: y.to(kind)
        for kind in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint64)],
    "bool": [lambda y: y > 0, lambda y: (y > 0).numpy(), lambda y: (y > 0).tolist()],
    "numpy array, list or tuple of integers": [
        lambda y: y.numpy(), lambda y: y.int().numpy(), lambda y: y.numpy().astype(">i2"),
        lambda y: y.numpy().astype(np.uint64), lambda y: y.flip(0).numpy()[::-1], lambda y: y.tolist(),
        lambda y: tuple(y.tolist()), list, lambda y: [np.int32(each) for each in y]],
    "integers (N, 1)": [lambda y: y[:, None], lambda y: y[:, None].numpy(), lambda y: [[each] for each in y.tolist()]],
}  # fmt: skip
NO_DTYPE = "y must hold classes as integers, got torch."
NO_TYPE = "y must hold one class an input, as integers, got "
REFUSED = {
    "floating point": [(lambda y: y.float(), NO_DTYPE), (lambda y: y.numpy().astype(float), NO_DTYPE),
                       (lambda y: y + 0j, NO_DTYPE)],
    "one-hot (N, classes)": [(lambda y: torch.eye(10)[y], r"of one-hot labels take y\.argmax\(1\)"),
                             (lambda y: torch.eye(10).int()[y].numpy(), r"of one-hot labels take y\.argmax\(1\)")],
    "below 0, or the number of classes and above": [
        (lambda y: y - 20, "y must hold classes from 0 to 9, for the model has 10 classes; it holds -"),
        (lambda y: y + 10, "y must hold classes from 0 to 9, for the model has 10 classes; it holds 1"),
        (lambda y: y + 2**40, "y must hold classes from 0 to 9, for the model has 10 classes; it holds 1"),
        (lambda y: y.numpy().astype(np.uint64) + np.uint64(2**63), "it holds 9223372036854775807")],
    "another number than there are inputs": [
        (lambda y: y[:-1], r"expected shape \(6,\), got \(5,\)"), (lambda _: 3, r"expected shape \(6,\), got \(\)"),
        (lambda _: [], r"expected shape \(6,\), got \(0,\)"), (lambda y: y.repeat(2), r"\(6,\), got \(12,\)")],
    "texts, objects, lists of unequal length, None": [
        (lambda y: [str(each) for each in y], NO_TYPE), (lambda y: [object() for _ in y], NO_TYPE),
        (lambda y: [[1] * place for place in y.tolist()], NO_TYPE), (lambda _: None, "y must hold one"),
        (lambda y: y.numpy().astype("U3"), NO_TYPE), (lambda _: {"y": 1}, "y must hold one")],
    "sparse tensors, tensors on the meta device": [
        (lambda y: y.to_sparse(), "y must be a dense tensor of values, got one that is torch.sparse_coo"),
        (lambda y: y.to("meta"), "y must be a dense tensor of values, got one that is on the meta device")],
}  # fmt: skip


def flat(table):
    return [pytest.param(case, row, id=f"{row}-{n}") for row, cases in table.items() for n, case in enumerate(cases)]


@pytest.fixture(params=EACH, scope="module")
def taker(request):
    return TAKERS[request.param]


@pytest.fixture(scope="module")
def plain(taker, net, y):
    """What a taker gives of labels in int64, of ten classes and of two."""
    return {two: taker(net, X, (y > 0).long() if two else y) for two in (False, True)}


@pytest.fixture(scope="module")
def net():
    return net_of((3, 8, 8), 10)


@pytest.fixture(scope="module")
def y(net):
    with torch.no_grad():
        return net(X).argmax(dim=1)


def test_the_table_is_what_is_tested_here():
    table = dict(rows("Labels"))
    assert {name for name, outcome in table.items() if outcome != "refused"} == set(TAKEN)
    assert {name for name, outcome in table.items() if outcome == "refused"} == set(REFUSED)


@pytest.mark.turns("form")
@pytest.mark.parametrize(("form", "row"), flat(TAKEN))
def test_labels_that_are_taken_give_what_int64_gives(taker, plain, net, y, form, row):
    assert same(taker(net, X, form(y)), plain[row == "bool"])


@pytest.mark.parametrize(("case", "row"), flat(REFUSED))
def test_what_is_no_label_is_named(taker, net, y, case, row):
    form, message = case
    with pytest.raises(ValueError, match=message) as error:
        taker(net, X, form(y))
    assert "\n" not in str(error.value), row
