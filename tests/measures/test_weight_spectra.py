"""Spectra of weights against numpy, and of matrices whose spectrum is known."""

import numpy as np
import pytest
import torch
from support.measured import board_of, chart_of, net_of, split_of, subject_of, tables_of, taken, values
from support.nets import conv_net
from torch import nn

from lrbench.models import Classifier


def rows_of(net, **options):
    return taken("weight_spectra", subject_of(net, split_of(4)), **options)


def test_figures_are_those_of_numpy():
    net = conv_net()
    rows = rows_of(Classifier(net, [0.5] * 3, [0.2] * 3))
    assert list(values(rows, "weight_norm", "layer")) == ["0", "3.1", "4"]
    for name in ("0", "3.1", "4"):
        weight = net.get_submodule(name).weight.detach().double().numpy()
        matrix = weight.reshape(len(weight), -1)
        norm = np.linalg.norm(matrix, 2)
        assert values(rows, "weight_norm", "layer")[name] == pytest.approx(norm)
        assert values(rows, "weight_condition", "layer")[name] == pytest.approx(np.linalg.cond(matrix))
        stable = np.linalg.norm(matrix) ** 2 / norm**2
        assert values(rows, "weight_stable_rank", "layer")[name] == pytest.approx(stable)
    matrices = [net.get_submodule(name).weight.detach().flatten(1).double().numpy() for name in ("0", "3.1", "4")]
    norms = [np.linalg.norm(each, 2) for each in matrices]
    assert values(rows, "weight_norm_product") == pytest.approx(np.log10(norms).sum())
    assert values(rows, "weight_condition_largest") == pytest.approx(max(map(np.linalg.cond, matrices)))
    ranks = [np.linalg.norm(each) ** 2 / norm**2 for each, norm in zip(matrices, norms, strict=True)]
    assert values(rows, "weight_stable_rank_mean") == pytest.approx(np.mean(ranks))
    over = ["mean stable rank", "largest condition number", "log10 of the product of spectral norms"]
    assert tables_of(board_of("weight_spectra", {"net": rows})) == {"Weights": over}
    board = board_of("weight_spectra", {"net": rows}, layers=["0", "4"])
    by_layer = ["stable rank", "condition number", "spectral norm"] * 2
    assert tables_of(board) == {"Weights": over, "Weights by layer": by_layer}
    assert [panel.y.order for panel in chart_of(board, "weights").panels] == [["0", "3.1", "4"]] * 3


def test_a_known_spectrum():
    net = net_of(nn.Linear(192, 3))
    turn = torch.linalg.qr(torch.randn(192, 3, generator=torch.Generator().manual_seed(0))).Q
    net[1].weight.data = torch.diag(torch.tensor([4.0, 2.0, 1.0])) @ turn.T
    rows = rows_of(net, layers=["1"])
    assert values(rows, "weight_norm") == pytest.approx(4, rel=1e-5)
    assert values(rows, "weight_stable_rank") == pytest.approx((16 + 4 + 1) / 16, rel=1e-5)
    assert values(rows, "weight_condition") == pytest.approx(4, rel=1e-5)


SOME = {"weight_norm", "weight_stable_rank", "weight_norm_product", "weight_stable_rank_mean"}


@pytest.mark.parametrize(("rank", "figures"), [(1, SOME), (0, set())])
def test_what_a_weight_without_full_rank_has_not_is_left_out(rank, figures):
    net = net_of(nn.Linear(192, 3))
    net[1].weight.data = torch.outer(torch.ones(3), torch.ones(192)) * rank
    assert {row["metric"] for row in rows_of(net)} == figures


@pytest.mark.parametrize(("dtype", "rows", "columns"), [(torch.float32, 512, 512), (torch.float16, 512, 1024)])
def test_a_full_rank_has_a_condition_number_however_near_to_less_it_is(dtype, rows, columns):
    torch.manual_seed(2)
    layer = nn.Linear(columns, rows).to(dtype)
    expected = np.linalg.cond(layer.weight.detach().double().numpy())
    assert values(rows_of(net_of(layer)), "weight_condition") == pytest.approx(expected)


def test_a_wide_weight_whose_rank_is_not_full_has_no_condition_number():
    # Of rank 230: its last singular value is a rounding of the first.
    net = net_of(nn.Linear(2304, 256))
    torch.manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(rows, 230)).Q for rows in (256, 2304))
    net[1].weight.data = left @ right.T
    assert {row["metric"] for row in rows_of(net)} == SOME


def test_a_layer_without_a_linear_map_is_named():
    with pytest.raises(ValueError, match="the layer '2' is a ReLU; name a linear layer or a convolution"):
        rows_of(conv_net(), layers=["2"])
