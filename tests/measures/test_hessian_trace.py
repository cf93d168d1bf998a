"""The Hessian's trace against the whole Hessian."""

import pytest
import torch
from support.measured import board_of, net_of, split_of, subject_of, tables_of, taken, values
from support.unchanged import differing, everything
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from lrbench.data import to_unit
from lrbench.measures.hessian_trace import quadratic_forms


def small():
    torch.manual_seed(0)
    return net_of(nn.Linear(4, 5), nn.Tanh(), nn.BatchNorm1d(5), nn.Linear(5, 3)).eval()


def hessian(net, split):
    names = [name for name, _ in net.named_parameters()]
    shapes = [each.shape for each in net.parameters()]
    flat = torch.cat([each.detach().flatten() for each in net.parameters()])

    def loss(values):
        parts = values.split([shape.numel() for shape in shapes])
        given = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        return functional.cross_entropy(functional_call(net, given, (to_unit(split.pixels),)), split.labels)

    return torch.autograd.functional.hessian(loss, flat)


@pytest.fixture(scope="module")
def whole():
    net, split = small(), split_of(30, (1, 2, 2), classes=3)
    return net, split, hessian(net, split)


def test_forms_are_those_of_the_whole_hessian(whole):
    net, split, matrix = whole
    before = everything(net, split.pixels)
    found = quadratic_forms(net, split, probes=3, batch_size=7)
    assert not differing(before, everything(net, split.pixels))
    for probe, value in enumerate(found.tolist()):
        generator = torch.Generator().manual_seed(probe)
        signs = [2.0 * torch.randint(2, each.shape, generator=generator) - 1 for each in net.parameters()]
        vector = torch.cat([each.flatten() for each in signs])
        assert value == pytest.approx((vector @ matrix @ vector).item(), rel=1e-3)


def test_their_mean_is_the_trace_to_its_standard_error(whole):
    net, split, matrix = whole
    rows = taken("hessian_trace", subject_of(net, split), probes=200)
    error = values(rows, "hessian_trace_error")
    assert abs(values(rows, "hessian_trace") - matrix.trace().item()) < 3 * error
    # Of signs the variance of a form is twice the squares off the diagonal.
    off = matrix - matrix.diag().diag()
    assert error == pytest.approx((2 * off.square().sum().item() / 200) ** 0.5, rel=0.2)
    (headings,) = tables_of(board_of("hessian_trace", {"net": rows})).values()
    assert headings == ["trace", "standard error"]


def test_a_loss_that_is_linear_has_none():
    class Flat(nn.Module):
        """Logits that no parameter moves."""

        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return x.flatten(1)[:, :3] + 0 * self.unused

    assert quadratic_forms(Flat(), split_of(6, (1, 2, 2), classes=3), 2, 3).tolist() == pytest.approx([0, 0])
