"""Randomised smoothing as a measure."""

import pandas as pd
import pytest
import torch
from support.measured import board_of, chart_of, split_of, subject_of, tables_of, taken, values
from support.nets import conv_net

import lrbench
from lrbench.data import to_unit
from lrbench.diagnostics import evaluate
from lrbench.diagnostics.smoothed import Smoothed, bracket
from lrbench.diagnostics.smoothing import certify
from lrbench.leaderboard.notes import notes
from lrbench.measures.smoothing import SmoothingOptions, _limit

OPTIONS = {"radii": [0.0, 0.2, 0.1], "sigma": 0.1, "n": 100, "samples": 20, "steps": 3, "draws": 2}
TWO = ("certified_accuracy", "smoothed_accuracy_attacked")


@pytest.fixture(scope="module")
def subject():
    """A network that is right about most of its images."""
    net, test = conv_net(), split_of(40)
    test.labels[::8] = (test.labels[::8] + 1) % 4
    test.labels[:] = evaluate(net, test).where(test.labels % 4 > 0, test.labels)
    return subject_of(net, test)


@pytest.fixture(scope="module")
def rows(subject):
    return taken("smoothing", subject, **OPTIONS)


def test_figures_are_those_of_the_bracket(subject, rows):
    test = subject.test.balanced(20)
    given = {key: OPTIONS[key] for key in ("sigma", "n", "steps", "draws")}
    expected = bracket(subject.model, to_unit(test.pixels), test.labels, radii=[0, 0.1, 0.2], **given)
    for figure, held in zip(TWO, (expected.certified, expected.withstood), strict=True):
        shares = [each.double().mean().item() for each in held]
        assert values(rows, figure, "radius") == dict(zip(["0", "0.1", "0.2"], shares, strict=True))
        assert 0 < shares[0] < 1
    sure = expected.certificates
    assert values(rows, "abstained") == (sure.predicted == -1).double().mean().item()
    lengths = sure.radius * (sure.predicted == test.labels)
    assert values(rows, "mean_certified_radius") == pytest.approx(lengths.mean().item())
    assert {row["n"] for row in rows} == {20}
    assert all(row["ci_low"] <= row["value"] <= row["ci_high"] for row in rows if "ci_low" in row)


def test_tables_have_both_bounds_a_row_a_radius(rows):
    board = board_of("smoothing", {"net": rows}, **OPTIONS)
    first, second = tables_of(board).items()
    assert first == (
        "Networks smoothed by noise of sigma 0.1: robust accuracy within an L2 radius, in pixels of [0, 1], n = 20",
        ["certified", "attacked"] * 3,
    )
    assert second == ("Networks smoothed by noise of sigma 0.1, n = 20", ["mean certified radius", "abstained"])
    (block,) = [block for block in board.blocks if block.by == "radius"]
    assert [column.row for column in block.columns] == ["0", "0", "0.1", "0.1", "0.2", "0.2"]
    assert any("at most 1 of 20 certificates may be wrong, at confidence 0.999" in line for line in notes(board))


def test_the_picture_shades_the_gap(rows):
    chart = chart_of(board_of("smoothing", {"a": rows, "b": rows}, **OPTIONS), "smoothing")
    for panel, model in zip(chart.panels, "ab", strict=True):
        table = panel.table
        assert set(table["model"]) == {model}
        lower, upper = (table[table["line"] == line] for line in ("certified", "attacked"))
        pd.testing.assert_series_equal(lower["value"], lower["low"], check_names=False)
        assert lower["high"].tolist() == upper["value"].tolist()
        assert lower["radius"].tolist() == [0.0, 0.1, 0.2]
        assert (lower["high"] >= lower["low"]).all()
        assert lower["high"].max() > 1  # in percent
        of = {figure: {float(row["radius"]): row for row in rows if row["metric"] == figure} for figure in TWO}
        for line, figure in zip(("ci_low", "ci_high"), TWO, strict=True):
            thin = panel.faint[panel.faint["line"] == line].set_index("radius")["value"]
            assert thin.to_dict() == pytest.approx({radius: 100 * row[line] for radius, row in of[figure].items()})
        assert set(panel.faint["model"]) == {model}


@pytest.mark.usefixtures("undrawn")
def test_the_smoothed_network_is_a_model_of_its_own_on_a_board(subject, tmp_path):
    pair = to_unit(subject.test.pixels[:8]), subject.test.labels[:8]
    models = {"net": subject.model, "smoothed": Smoothed(subject.model, 0.1, draws=4)}
    asked = {"attacks": [{"name": "pgd", "steps": 2}], "diagnostics": {"masking": False}}
    found = lrbench.evaluate(models, data=pair, eps=[0.5], norm="l2", out=tmp_path / "out", **asked)
    assert not found.failures
    assert set(found.results.query("metric == 'robust_accuracy'")["model"]) == {"net", "smoothed"}


@pytest.mark.parametrize("n", [1, 20, 300, 1000, 100_000])
def test_the_largest_radius_that_draws_certify_is_told_and_not_rounded_up(n):
    said = float(_limit(SmoothingOptions(n=n)))
    reached = certify(
        lambda x: torch.tensor([[1.0, 0.0]]).repeat(len(x), 1), torch.zeros(1, 1), 0.25, n=n
    ).radius.item()
    assert said <= reached
    assert said == pytest.approx(reached, rel=1e-3)
