"""Figures of measures as they go through a run, its tables read back, and a published board."""

import numpy as np
import pandas as pd
import pytest
from support.plain import FACTORY

import lrbench
from lrbench import Leaderboard
from lrbench.columns import as_text
from lrbench.errors import UsageError
from lrbench.leaderboard import tidy
from lrbench.leaderboard.published import check, publish
from lrbench.leaderboard.read import read_table
from lrbench.suite import Suite

pytestmark = pytest.mark.usefixtures("undrawn", "unpictured")

SUITE = """\
name: mine
data: {name: digits, train: 60, test: 30}
training: {epochs: 1, batch_size: 30}
threat_model: {eps: [8/255, 16/255], samples: 20}
attacks: [fgsm]
diagnostics: {masking: false, NAME: {}}
models: {net: {arch: "NET"}}
"""
NAMES = ["None", "NA", "nan", "null", "1", "a,b", "[x]", '"', " ", "é", "N/A", "-inf"]


def run(folder, rows, figures, name="odd"):
    """Run a suite with a measure that gives some rows."""
    body = {"figures": figures, "take": lambda *_: iter(rows)}
    lrbench.register_measure(name)(type("Odd", (lrbench.Measure,), body))
    (folder / "net.py").write_text(FACTORY)
    (folder / "mine.yaml").write_text(SUITE.replace("NET", f"{folder / 'net.py'}:build").replace("NAME", name))
    return lrbench.run(folder / "mine.yaml", out=folder / "out")


def published(folder):
    publish(folder / "out", folder / "boards")
    assert check(folder / "boards") == 1
    return Leaderboard.load(folder / "boards/mine")


def test_a_table_is_read_back_as_it_was_written_whatever_a_class_or_a_layer_is_called(tmp_path):
    rows = [
        {"suite": "s", "model": name, "seed": 0, "dataset": name, "layer": name, "attack": name, "metric": "class_vr",
         "value": float(place), "k": 1, "class": name}
        for place, name in enumerate(NAMES)
    ]  # fmt: skip
    table = tidy([*rows, {"suite": "s", "model": "m", "metric": "accuracy", "value": None}])
    table.to_csv(tmp_path / "results.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "results.csv"), table)


def test_parameters_of_any_name_are_published_as_they_were_taken(tmp_path):
    rows = [{"metric": "p", "value": float(place), "what": name} for place, name in enumerate(NAMES)]
    board = run(tmp_path, rows, {"p": lrbench.Metric("p", parameters=("what",))})
    assert not board.failures
    found = published(tmp_path)
    rows = found.results[found.results["metric"] == "odd:p"]
    assert dict(zip(rows["what"], rows["value"], strict=True)) == {name: i for i, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    "row",
    [
        {"value": 3.5, "ci_low": 3, "ci_high": 5.0, "n": 30},
        {"value": 0.5, "ci_low": 0.5, "ci_high": 0.5},
        {"value": -1.0, "ci_low": -9.0, "ci_high": 2.0, "n": 7},
    ],
)
def test_an_interval_of_anybody_s_making_is_published(tmp_path, row):
    run(tmp_path, [{"metric": "ci", **row}], {"ci": lrbench.Metric("ci")})
    (column,) = [each for block in published(tmp_path).blocks for each in block.columns if each.key == "odd:ci"]
    assert column.cells["net"].interval == (row["ci_low"], row["ci_high"])


def test_a_figure_may_lack_some_of_its_parameters_and_no_column_hides_another(tmp_path):
    rows = [
        {"what": "x"}, {"what": "x", "where": "w"}, {"where": "x"}, {"what": ""}, {"what": "a,where=b"},
        {"what": "a", "where": "b"}, {"what": '"a"'},
    ]  # fmt: skip
    rows = [{"metric": "p", "value": float(place), **row} for place, row in enumerate(rows)]
    board = run(tmp_path, rows, {"p": lrbench.Metric("p", parameters=("what", "where"))})
    shown = {
        key: value for key, value in board.table().loc["net"].items() if key.startswith("odd:p") and "_sd" not in key
    }
    assert shown == {
        "odd:p[what=x]": 0, "odd:p[what=x,where=w]": 1, "odd:p[where=x]": 2, "odd:p": 3,
        'odd:p[what="a,where=b"]': 4, "odd:p[what=a,where=b]": 5, 'odd:p[what="\\"a\\""]': 6,
    }  # fmt: skip
    kept = board.results[~board.results["metric"].isin(["attack_time"])]
    assert len(published(tmp_path).results) == len(kept)


@pytest.mark.parametrize("name", ["key", "figure", "self", "heading", "form", "where", "given"])
def test_a_parameter_is_called_what_it_is_called(tmp_path, name):
    board = run(tmp_path, [{"metric": "p", "value": 1.0, name: "x"}], {"p": lrbench.Metric("p", parameters=(name,))})
    assert board.table().loc["net", f"odd:p[{name}=x]"] == 1


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (np.int64(3), "3"), (np.float32(0.5), "0.5"), (0.1, "0.1"), (1e-7, "1e-07"), (2.0, "2"),
        (1234567.5, "1234567.5"), (0.12345671, "0.12345671"), (1e300, "1e+300"), (10**20, str(10**20)),
    ],
)  # fmt: skip
def test_numbers_keep_their_digits(tmp_path, given, written):
    board = run(tmp_path, [{"metric": "p", "value": 1.0, "k": given}], {"p": lrbench.Metric("p", parameters=("k",))})
    assert not board.failures
    assert set(board.results["k"]) == {"", written}
    assert as_text(written) == written


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\x00", "\u2028"])
def test_a_parameter_is_one_line(tmp_path, text):
    board = run(tmp_path, [{"metric": "p", "value": 1.0, "k": text}], {"p": lrbench.Metric("p", parameters=("k",))})
    assert "a parameter is a number or a line of text" in board.failures["odd/net/seed-0"]


@pytest.mark.parametrize("figures", [("q", "q_n"), ("q", "q_sd"), ("a:b",), ("",), ("a[b]",), ("a\nb",)])
def test_figures_that_would_hide_others_are_refused(tmp_path, figures):
    with pytest.raises(UsageError, match=r"the measure 'odd' calls a figure .*: choose another name"):
        run(tmp_path, [], {figure: lrbench.Metric("q") for figure in figures})


@pytest.mark.parametrize("name", ["accuracy", "train", "attack", "worst", "difference", "part", "minimal", "load"])
def test_a_measure_is_not_called_as_a_step_is(tmp_path, name):
    with pytest.raises(UsageError, match=rf"diagnostics\.{name}: a step is called so; give the measure another name"):
        run(tmp_path, [], {"q": lrbench.Metric("q")}, name)


@pytest.mark.parametrize(
    ("attacks", "under"),
    [
        (["fgsm", "iter-fsgm"], "iter-fsgm"),
        (["gaussian-noise", "iter-ll-fsgm", "pgd"], "iter-ll-fsgm"),
        (["deepfool", "pgd"], "pgd"),
        (["deepfool"], None),
    ],
)
def test_d_adv_is_shown_under_the_attack_that_a_suite_is_summed_up_by(attacks, under):
    raw = {
        "name": "s", "data": "digits", "models": {"net": {"arch": "resnet18"}}, "attacks": attacks,
        "threat_model": {"eps": [0.1, 0.2]}, "diagnostics": {"d_adv": {"layers": ["avgpool"]}},
    }  # fmt: skip
    common = {"suite": "s", "dataset": "d", "model": "net", "seed": 0, "layer": "avgpool", "space": "pixel", "n": 9}
    rows = [
        {**common, "metric": "d_adv", "attack": attack, "eps": eps, "value": 10.0 * place + eps}
        for place, attack in enumerate(attacks)
        for eps in (0.1, 0.2)
        if attack != "deepfool"
    ]
    board = Leaderboard(tidy(rows), Suite.model_validate(raw).model_dump(mode="json"))
    found = [column for column in board.blocks[0].columns if column.key.startswith("d_adv[")] if board.blocks else []
    assert [column.key for column in found] == ([] if under is None else [f"d_adv[avgpool,{under},25.5/255]"])
    for column in found:
        assert column.cells["net"].value == 10.0 * attacks.index(under) + 0.1
