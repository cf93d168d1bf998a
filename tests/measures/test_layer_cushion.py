"""Layer cushions against the matrix of each map, written out."""

import pytest
import torch
from support.measured import board_of, chart_of, net_of, split_of, subject_of, tables_of, taken, values
from torch import nn

from lrbench.data import to_unit

SHAPE = (2, 5, 5)


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2, groups=2),
        nn.ReLU(),
        nn.Conv2d(4, 3, 2, bias=False, dilation=2, padding="same"),
        nn.Flatten(),
        nn.Linear(27, 4),
    )


def matrix_of(module, shape):
    """The matrix of a map, column by column, from the inputs that have a single 1."""
    units = torch.eye(torch.Size(shape).numel()).view(-1, *shape)
    with torch.no_grad():
        return (module(units) - module(torch.zeros(1, *shape))).flatten(1).double().T


def test_figures_are_those_of_the_written_out_matrices():
    network, train = net(), split_of(300, SHAPE)
    quantiles = [0.0, 0.25, 1.0]
    rows = taken("layer_cushion", subject_of(network, train), quantiles=quantiles, samples=270)
    x = to_unit(train.balanced(270).pixels)
    for name in ("0", "2", "4"):
        with torch.no_grad():
            given = network[: int(name)](x)
        matrix, phi = matrix_of(network[int(name)], given.shape[1:]), given.flatten(1).double()
        expected = (phi @ matrix.T).norm(dim=1) / (matrix.norm() * phi.norm(dim=1))
        found = values(rows, "layer_cushion", "layer", "quantile")
        for each in quantiles:
            assert found[name, f"{each:g}"] == pytest.approx(expected.quantile(each).item(), rel=1e-4)
    assert {row["n"] for row in rows} == {270}
    for each in quantiles:
        least = min(found[name, f"{each:g}"] for name in ("0", "2", "4"))
        assert values(rows, "layer_cushion_least", "quantile")[f"{each:g}"] == least
    words = ["smallest", "quantile 0.25", "largest"]
    board = board_of("layer_cushion", {"net": rows}, quantiles=quantiles)
    assert list(tables_of(board).values()) == [words]
    assert [panel.title for panel in chart_of(board, "layer-cushion").panels] == words
    named = board_of("layer_cushion", {"net": rows}, quantiles=quantiles, layers=["0", "4"])
    assert list(tables_of(named).values()) == [words, words * 2]


def test_a_map_of_equal_singular_values_has_one_over_the_root_of_its_rank():
    network = net_of(nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 4))
    network[1].weight.data = 3 * torch.linalg.qr(torch.randn(50, 50)).Q
    rows = taken("layer_cushion", subject_of(network, split_of(20, SHAPE)), layers=["1"])
    assert list(values(rows, "layer_cushion", "quantile").values()) == pytest.approx([50**-0.5] * 3, rel=1e-4)
    assert not network[1]._forward_hooks


def test_inputs_of_zero_do_not_count():
    network = net_of(nn.ReLU(), nn.Linear(50, 4))
    train = split_of(10, SHAPE)
    train.pixels[:3] = 0
    rows = taken("layer_cushion", subject_of(network, train), quantiles=[0.0])
    assert [row["n"] for row in rows if "layer" in row] == [7]
    train.pixels[:] = 0
    assert taken("layer_cushion", subject_of(network, train), quantiles=[0.0]) == []


def test_a_parametrised_weight_is_what_it_gives():
    network = net_of(nn.Linear(50, 4))
    nn.utils.parametrizations.spectral_norm(network[1])
    rows = taken("layer_cushion", subject_of(network, split_of(10, SHAPE)), quantiles=[0.0])
    plain = net_of(nn.Linear(50, 4))
    plain[1].weight.data, plain[1].bias = network[1].weight.detach().clone(), network[1].bias
    expected = taken("layer_cushion", subject_of(plain, split_of(10, SHAPE)), quantiles=[0.0])
    assert rows[0]["value"] == pytest.approx(expected[0]["value"], rel=1e-5)
