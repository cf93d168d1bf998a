"""Noise sensitivity against its definition, in tables and pictures."""

import pytest
import torch
from support.measured import board_of, chart_of
from support.nets import conv_net, images
from torch import nn

from lrbench.leaderboard import Leaderboard, tidy
from lrbench.measures import Attacked
from lrbench.measures.checked import checked_each, checked_rows
from lrbench.measures.registry import measure_of
from lrbench.suite import Suite

MEASURE = measure_of("noise_sensitivity")


def rows_of(net, x, x_adv, *layers):
    options = MEASURE.Options(layers=list(layers))
    each = MEASURE.each(options, Attacked(net, net, x, x_adv, torch.zeros(len(x), dtype=torch.int64)))
    return list(checked_rows("noise_sensitivity", MEASURE, MEASURE.rows(options, checked_each("it", each, len(x)))))


def test_it_is_what_is_defined():
    net, (x, _) = conv_net().eval(), images(5)
    moved = x + 0.1 * torch.rand_like(x)
    rows = {row.get("layer", ""): row["value"] for row in rows_of(net, x, moved, "2", "3.1", "2")}
    for layer, part in (("", nn.Identity()), ("2", net[:3]), ("3.1", net[:4])):
        before, after = (part(each).detach().double().flatten(1) for each in (x, moved))
        expected = ((after - before).norm(dim=1) / before.norm(dim=1)).square().mean()
        assert rows[layer] == pytest.approx(expected.item(), rel=1e-5)


def test_a_scaled_input_moves_a_linear_layer_as_much():
    net, (x, _) = nn.Sequential(nn.Flatten(), nn.Linear(192, 5, bias=False)), images(5)
    assert [row["value"] for row in rows_of(net, x, 1.5 * x, "1")] == pytest.approx([0.25, 0.25], rel=1e-5)


def test_where_nothing_is_before_nothing_is_said():
    net, x = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(4, 2)), -torch.ones(3, 1, 2, 2)
    x[1] = 1
    counts = {row.get("layer", ""): row["n"] for row in rows_of(net, x, x + 0.5, "1")}
    assert counts == {"": 3, "1": 1}
    assert not [row for row in rows_of(net, x[:1], x[:1] + 0.5, "1") if "layer" in row]


@pytest.fixture
def board():
    common = {"suite": "mine", "dataset": "digits", "seed": 0, "space": "pixel", "n": 9}
    rows = [
        {**common, "model": model, "attack": attack, "eps": eps, **figure}
        for model in ("a", "b")
        for attack in ("pgd", "pgd-from-a", "gaussian-noise")
        for eps in (8 / 255, 4 / 255)
        for figure in (
            {"metric": "relative_noise", "value": eps},
            {"metric": "noise_sensitivity", "layer": "avgpool", "value": 3 * eps},
        )
        if (model, attack) != ("a", "pgd-from-a")
    ]
    attacks = ["pgd", {"name": "pgd", "surrogate": "a"}, "gaussian-noise"]
    raw = {
        "name": "mine", "data": "digits", "models": {name: {"arch": "resnet18"} for name in "ab"}, "attacks": attacks,
        "threat_model": {"eps": [4 / 255, 8 / 255]}, "diagnostics": {"noise_sensitivity": {"layers": ["avgpool"]}},
    }  # fmt: skip
    return Leaderboard(tidy(rows), Suite.model_validate(raw).model_dump(mode="json"))


def test_tables_have_a_row_an_attack_and_radius(board):
    (block,) = [block for block in board.blocks if block.title.startswith("Noise sensitivity")]
    rows = ["pgd 4/255", "pgd 8/255", "pgd-from-a 4/255", "pgd-from-a 8/255", "gaussian-noise 4/255"]
    assert list(dict.fromkeys(column.row for column in block.columns))[:5] == rows
    assert [column.heading for column in block.columns[:2]] == ["at the input", "at avgpool"]
    assert block.columns[1].cells["b"].value == pytest.approx(3 * 4 / 255)


def test_pictures_have_a_panel_an_attack(board):
    chart = chart_of(board, "noise-sensitivity-avgpool")
    assert [panel.title for panel in chart.panels] == ["pgd", "pgd-from-a", "gaussian-noise"]
    assert len({(panel.x.domain, panel.y.domain) for panel in chart.panels}) == 1, "panels are compared"
    table = chart.panels[0].table
    assert table[table["model"] == "a"][["noise", "value"]].values.ravel() == pytest.approx(
        [4 / 255, 12 / 255, 8 / 255, 24 / 255]
    )


def test_a_board_without_attacks_has_no_picture():
    board = board_of("noise_sensitivity", {"net": []}, layers=["avgpool"])
    assert not board.blocks or all(not block.columns for block in board.blocks if "Noise" in block.title)
