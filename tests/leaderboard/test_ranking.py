"""Who stands where: missing figures last, equal ones equal, and by what is shown."""

import json

import pytest
from support.tables import board_of, rows_of

from lrbench.leaderboard.published.page import index_page
from lrbench.leaderboard.render import to_markdown
from lrbench.leaderboard.report.page import table_of_block

WHOLE = {"accuracy": 0.5, "wrong": (0.9, 0.95), "verdict": "suspicious"}
"""A model of which everything is known, and nothing good."""


@pytest.mark.parametrize(
    "missing",
    [
        {"wrong": None, "verdict": "suspicious"},
        {"wrong": None, "verdict": None},
        {"wrong": (0.1, 0.1), "verdict": None},
    ],
    ids=["its only attack failed", "nothing but accuracy", "not checked"],
)
@pytest.mark.parametrize("worse", ["suspicious", "broken"])
def test_what_is_missing_ranks_last(missing, worse):
    if missing["verdict"] is not None and worse == "broken":
        missing = {**missing, "verdict": "broken"}
    board = board_of([*rows_of("lost", accuracy=1.0, **missing), *rows_of("known", **{**WHOLE, "verdict": worse})])
    assert board.models == ["known", "lost"]
    assert board.ranks == {"known": 1, "lost": 2}
    assert list(board.table()["rank"]) == [1, 2]
    assert list(json.loads(board.to_json())["models"]) == ["known", "lost"]


def test_a_figure_that_lacks_a_seed_ranks_behind_whole_ones_and_says_so():
    seeds = {"seeds": [0, 1]}
    known = [row for seed in (0, 1) for row in rows_of("known", seed, **WHOLE)]
    half = [*rows_of("half", 0, wrong=(0.0, 0.0)), *rows_of("half", 1, wrong=None)]
    half = [row for row in half if row["metric"] != "verdict"]
    half += [{**row, "model": "half"} for row in known if row["metric"] == "verdict"]
    board = board_of([*half, *known], **seeds)
    assert board.models == ["known", "half"]
    shown = [cell["below"] for cell in table_of_block(board, board.blocks[0])["rows"][1][3]]
    assert any("1 of 2 seeds" in below for below in shown)


def test_a_seed_whose_figure_is_no_number_counts_as_missing():
    rows = [row for seed in (0, 1) for row in rows_of("net", seed)]
    for row in rows:
        if row["seed"] == 1 and row["metric"] == "accuracy":
            row["value"] = row["ci_low"] = row["ci_high"] = float("nan")
    (cell,) = (
        column.cells["net"] for column in board_of(rows, seeds=[0, 1]).blocks[0].columns if column.key == "accuracy"
    )
    assert (cell.seeds, cell.planned, cell.whole) == (1, 2, False)


def test_nobody_has_held_up_whose_checks_are_missing_for_a_seed():
    rows = [*rows_of("half", 0), *rows_of("half", 1, verdict=None), *rows_of("none", 0, verdict=None)]
    rows += rows_of("none", 1, verdict=None)
    board = board_of(rows, seeds=[0, 1])
    assert list(board.table()["verdict"]) == ["not checked", "not checked"]
    page = table_of_block(board, board.blocks[0])
    place = [heading for heading, _ in page["headings"]].index("verdict")
    assert {(row[3][place]["text"], row[3][place]["sort"]) for row in page["rows"]} <= {("not checked", "")}


def test_verdicts_come_first_and_no_check_is_worse_than_any():
    rows = []
    for verdict in (None, "broken", "suspicious", "held up"):
        rows += rows_of(str(verdict), wrong=(0.1, 0.1) if verdict != "held up" else (0.9, 0.9), verdict=verdict)
    assert board_of(rows).models == ["held up", "suspicious", "broken", "None"]


def test_the_order_is_that_of_the_column_that_is_shown():
    """Ahead on the mean over radii, behind at every radius that the summary shows."""
    board = board_of([*rows_of("on-average", wrong=(0.0, 0.62)), *rows_of("as-shown", wrong=(0.55, 0.60))])
    (headline,) = (each for each in board.blocks[0].columns if each.heading == "robust accuracy 16/255")
    shown = {model: cell.value for model, cell in headline.cells.items()}
    assert board.models == sorted(shown, key=lambda model: -shown[model]) == ["as-shown", "on-average"]


def test_a_summary_radius_that_was_not_attacked_gives_way_to_one_that_was():
    masked = {"diagnostics": {"masking": {"eps": 3 / 255}}}
    board = board_of([*rows_of("worse", wrong=(0.1, 0.8)), *rows_of("better", wrong=(0.2, 0.7))], **masked)
    assert board.models == ["better", "worse"]
    assert "robust accuracy 16/255" in {column.heading for column in board.blocks[0].columns}


def test_equal_figures_are_a_tie_and_nobody_is_best_alone():
    twins = [*rows_of("one"), *rows_of("other"), *rows_of("third", wrong=(0.5, 0.7))]
    board = board_of(twins)
    assert board.ranks == {"one": 1, "other": 1, "third": 3}
    _, markdown = index_page({"mine": (board, [])})
    assert "| one, other |" in markdown
    # 59.96 and 60.04 % are both shown as 60.0.
    near = board_of([*rows_of("one", wrong=(0.3, 0.4004)), *rows_of("other", wrong=(0.3, 0.3996))])
    assert near.ranks == {"one": 1, "other": 1}


def test_equal_means_over_seeds_are_equal_whatever_their_last_bit():
    one = [
        *rows_of("one", 0, wrong=(0.1, 0.1)),
        *rows_of("one", 1, wrong=(0.1, 0.2)),
        *rows_of("one", 2, wrong=(0.1, 0.3)),
    ]
    other = [*rows_of("b", 0, wrong=(0.1, 0.3)), *rows_of("b", 1, wrong=(0.1, 0.3)), *rows_of("b", 2, wrong=(0.1, 0.0))]
    assert board_of([*one, *other], seeds=[0, 1, 2]).ranks == {"one": 1, "b": 1}


def test_nobody_has_a_place_as_long_as_no_robust_accuracy_is_known():
    first, second = (rows_of(name, wrong=None) for name in ("one", "two"))
    for board in (board_of([*first, *second]), board_of(rows_of("one", wrong=None))):
        assert "place" not in to_markdown(board).lower()
        assert "rank" not in board.table()
        assert "clean accuracy" in to_markdown(board)
    board = board_of([*first, *rows_of("two", wrong=(0.1, 0.3))])
    assert list(board.table()["rank"]) == [1, 2], "what one has the other lacks"
    assert board.models == ["two", "one"]


def test_nobody_is_crowned_whose_robust_accuracy_is_missing():
    _, markdown = index_page({"mine": (board_of(rows_of("lost", wrong=None)), [])})
    assert "lost |" not in markdown
    assert markdown.splitlines()[4].startswith("| [mine](mine/README.md) | 1 | - |")


def test_a_verdict_that_lacks_a_seed_stands_behind_a_whole_one():
    rows = [*rows_of("whole", 0, verdict="suspicious"), *rows_of("whole", 1, verdict="suspicious")]
    rows += [*rows_of("half", 0, wrong=(0.1, 0.1), verdict="suspicious")]
    rows += [*rows_of("half", 1, wrong=(0.1, 0.1), verdict=None)]
    assert board_of(rows, seeds=[0, 1]).models == ["whole", "half"]
