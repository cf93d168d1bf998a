import json

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lrbench.errors import UsageError
from lrbench.leaderboard import COLUMNS, Leaderboard, tidy, wilson
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.render import print_board, to_markdown
from lrbench.suite import Suite

EPS = [8 / 255, 16 / 255]


def suite(**changes):
    content = {
        "name": "mine",
        "data": "digits",
        "seeds": [0, 1],
        "models": {"weak": {"arch": "resnet18"}, "strong": {"arch": "resnet18"}},
        "threat_model": {"eps": EPS, "space": "pixel"},
        "attacks": ["iter-fsgm"],
        "diagnostics": {
            "variance_ratio": {"layers": ["avgpool"], "k": [10]},
            "embeddings": {"layer": "avgpool", "dims": [5]},
        },
    }
    return Suite.model_validate({**content, **changes}).model_dump(mode="json")


def rows(model, errors, distances, clean=0.1):
    for seed in (0, 1):
        common = {"suite": "mine", "model": model, "seed": seed, "dataset": "digits"}
        shift = 0.02 * seed
        low, high = wilson(clean, 100)
        yield {**common, "metric": "accuracy", "value": 1 - clean, "ci_low": 0.8, "ci_high": 0.95, "n": 100}
        yield {
            **common, "metric": "misclassification", "eps": 0.0, "space": "pixel", "value": clean, "ci_low": low,
            "ci_high": high, "n": 100,
        }  # fmt: skip
        for eps, error, distance in zip(EPS, errors, distances, strict=True):
            attacked = {**common, "attack": "iter-fsgm", "eps": eps, "space": "pixel", "n": 100}
            yield {**attacked, "metric": "misclassification", "value": error + shift, "ci_low": 0.0, "ci_high": 1.0}
            worst = {**attacked, "attack": "worst-case", "metric": "misclassification"}
            yield {**worst, "value": error + shift, "ci_low": 0.0, "ci_high": 1.0}
            yield {**attacked, "metric": "l2_dissimilarity", "value": distance}
        d_adv = {**common, "attack": "iter-fsgm", "eps": EPS[0], "space": "pixel", "layer": "avgpool", "n": 90}
        yield {**d_adv, "metric": "d_adv", "value": 3.0}
        yield {**d_adv, "metric": "d_adv_relative", "value": 0.4}
        yield {**common, "metric": "vr", "k": 10, "layer": "avgpool", "value": 0.987, "n": 1000}
        yield {
            **common, "metric": "embedding_accuracy", "dimensions": 5, "layer": "avgpool", "value": 0.7, "ci_low": 0.6,
            "ci_high": 0.8, "n": 100,
        }  # fmt: skip


@pytest.fixture
def board():
    both = [*rows("weak", (0.5, 0.9), (0.1, 0.2)), *rows("strong", (0.2, 0.4), (0.1, 0.4))]
    return Leaderboard(tidy(both), suite())


@given(successes=st.integers(0, 500), rest=st.integers(0, 500))
def test_wilson_equals_its_definition(successes, rest):
    """The interval holds exactly the p whose score test does not reject the observed count."""
    n = successes + rest
    if n == 0:
        return
    low, high = wilson(successes / n, n)
    assert 0 <= low <= successes / n <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1:
            z = (successes / n - bound) / np.sqrt(bound * (1 - bound) / n)
            assert abs(z) == pytest.approx(1.959963984540054, rel=1e-6)


def test_wilson_known_value_and_faults():
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Brown, Cai and DasGupta (2001)
    for proportion, n in ((1.2, 10), (-0.1, 10), (0.5, 0), (float("nan"), 5)):
        with pytest.raises(ValueError, match="expected a proportion"):
            wilson(proportion, n)


def test_results_are_tidy(board):
    assert tuple(board.results.columns) == (*COLUMNS, "dimensions", "k")
    assert set(board.results["k"]) == {"", "10"}
    assert not board.results[["suite", "model", "metric", "attack", "layer"]].isna().any().any()


def test_areas_are_mean_misclassification_over_the_range_all_curves_cover(board):
    assert board.limits == {"iter-fsgm": 0.2}
    areas = board.results[board.results["metric"] == "auc_l2"].set_index(["model", "seed"])["value"]
    x = np.linspace(0, 0.2, 200_001)
    assert areas["weak", 0] == pytest.approx(np.interp(x, [0, 0.1, 0.2], [0.1, 0.5, 0.9]).mean(), abs=1e-5)
    assert areas["strong", 1] == pytest.approx(np.interp(x, [0, 0.1, 0.4], [0.1, 0.22, 0.42]).mean(), abs=1e-5)


def test_the_table_has_a_row_a_model_best_first(board):
    table = board.table()
    assert list(table.index) == ["strong", "weak"]
    cell = "robust_accuracy[iter-fsgm,8/255]"
    assert table.loc["weak", cell] == pytest.approx(0.49)
    assert table.loc["weak", f"{cell}_sd"] == pytest.approx(np.std([0.5, 0.52], ddof=1))
    assert (table.loc["weak", f"{cell}_low"], table.loc["weak", f"{cell}_high"]) == pytest.approx(wilson(0.49, 100))
    assert table.loc["weak", f"{cell}_n"] == 100


def test_adding_areas_twice_changes_nothing(board):
    again = Leaderboard(board.results, board.suite)
    pd.testing.assert_frame_equal(again.results, board.results)


def test_a_written_board_is_read_back(board, tmp_path):
    (tmp_path / "results.csv").write_text(board.results_csv())
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(board.suite))
    again = Leaderboard.load(tmp_path)
    pd.testing.assert_frame_equal(again.results, board.results)
    assert json.loads(again.to_json()) == json.loads(board.to_json())
    assert again.results_csv() == board.results_csv()


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(UsageError, match="no results in"):
        Leaderboard.load(tmp_path)
    (tmp_path / "quick/records").mkdir(parents=True)
    (tmp_path / "quick/records/net.json").write_text("{}")
    with pytest.raises(UsageError, match=f"{tmp_path} holds published boards; name one, such as {tmp_path}/quick, or"):
        Leaderboard.load(tmp_path)


def printed(board, width=140):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_board(board, console)
    return console.export_text()


def test_the_terminal_shows_every_figure_with_its_interval(board):
    text = printed(board)
    for part in (
        "clean accuracy",
        "error area",
        "D_Adv",
        "VR_10 avgpool",
        "5 dims",
        "16/255",
        "pixel space, n = 100",
    ):
        assert part in text
    assert "49.0 ±1.4" in text
    low, high = wilson(0.49, 100)
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in text
    assert "a model that withstands a weak attack is not shown to be robust" in text


@pytest.mark.parametrize(
    ("options", "described"),
    [
        ({"steps": 8, "queries": 50}, "is not the standard version of AutoAttack here: steps 8, queries 50."),
        ({"version": "rand"}, "is not the standard version of AutoAttack here: version rand."),
        ({"steps": 100, "targets": 9, "version": "standard"}, None),
        ({"eps": [8 / 255]}, None),
    ],
)
def test_a_weaker_autoattack_is_not_taken_for_the_standard_version(options, described):
    content = suite()
    content["attacks"] = [{"name": "autoattack", "label": "aa", "surrogate": None, "eps": None} | options]
    lines = notes(Leaderboard(tidy(rows("net", (0.5, 0.9), (0.1, 0.2))), content))
    found = [line for line in lines if "standard version" in line]
    assert bool(found) == (described is not None)
    assert all(line.startswith(f"aa {described}") for line in found)


def test_markup_in_a_model_s_name_stays_text():
    name = "a[red]b|c_d"
    board = Leaderboard(tidy(rows(name, (0.5, 0.9), (0.1, 0.2))), suite())
    assert name in printed(board)
    assert r"a\[red\]b\|c\_d" in to_markdown(board)


def test_markdown_tables_have_one_width(board):
    blocks = to_markdown(board).split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(tables) == 5
    for table in tables:
        assert len({line.count("|") for line in table}) == 1


def test_json_holds_the_table(board):
    content = json.loads(board.to_json())
    assert content["models"]["weak"]["accuracy"] == pytest.approx(0.9)
    assert content["suite"]["name"] == "mine"


def test_radii_in_normalized_space_are_not_written_as_pixels():
    content = suite()
    content["threat_model"] = {**content["threat_model"], "space": "normalized"}
    board = Leaderboard(tidy(rows("net", (0.5, 0.9), (0.1, 0.2))), content)
    text = printed(board)
    assert "0.0314 sd" in text
    assert "8/255 in the suite is 0.0314 sd" in " ".join(text.split())
    headings = [column.heading for block in board.blocks for column in block.columns]
    assert not any("/255" in heading for heading in headings), headings
    assert "robust_accuracy[iter-fsgm,8/255]" in board.table()


def test_one_seed_and_no_attacks_make_a_board():
    lone = [row for row in rows("weak", (0.5, 0.9), (0.1, 0.2)) if row["seed"] == 0 and "attack" not in row]
    board = Leaderboard(tidy(lone), suite(attacks=[], seeds=[0]))
    assert "±" not in printed(board)
    assert "of one seed" in printed(board)
    assert list(board.table().index) == ["weak"]


def test_a_median_that_is_infinite_in_a_seed_has_no_deviation_and_warns_nobody(recwarn):
    medians = [
        {"model": "weak", "seed": seed, "attack": "deepfool", "metric": "median_linf", "value": value, "n": 90}
        for seed, value in enumerate((0.1, np.inf))
    ]
    (row,) = Leaderboard(tidy(medians), suite()).aggregated.to_dict("records")
    assert row["value"] == np.inf
    assert np.isnan(row["sd"])
    assert not [str(each.message) for each in recwarn if issubclass(each.category, RuntimeWarning)]
