"""What robust accuracy is to be held against: the accuracy on the very images that were attacked."""

import pytest
from support.tables import board_of, rows_of

from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.render import summary_html, summary_text, to_markdown

ABOVE = "Above the clean accuracy on the same images: "


def headline(board):
    (column,) = [each for each in board.blocks[0].columns if each.heading.startswith("robust accuracy")]
    return column.cells


def above(board):
    return [line.removeprefix(ABOVE) for line in notes(board) if line.startswith(ABOVE)]


def test_the_first_table_shows_both():
    board = board_of(rows_of("net", accuracy=0.8))
    cell = headline(board)["net"]
    assert (cell.value, cell.clean) == (pytest.approx(0.4), pytest.approx(0.9))
    for view in (summary_text(board), summary_html(board), to_markdown(board)):
        assert "of 90.0" in view
        assert "80.0" in view


def test_a_figure_that_lacks_a_seed_is_held_against_none_of_more_seeds():
    board = board_of([*rows_of("net"), *rows_of("net", seed=1, wrong=None)], seeds=[0, 1])
    assert headline(board)["net"].clean is None
    assert "of 90.0" not in summary_text(board)


def test_figures_above_it_are_named_and_explained():
    (line,) = above(board_of([*rows_of("net", wrong=(0.05, 0.6)), *rows_of("other")]))
    assert line.startswith("iter-fsgm on net at 8/255 (95.0 %, clean 90.0 %). ")
    assert "In the worst case such an image counts as wrong" in line
    (line,) = above(board_of([row for name in "abcde" for row in rows_of(name, wrong=(0.05, 0.6))]))
    assert "iter-fsgm on c at 8/255 (95.0 %, clean 90.0 %) and 2 more. " in line


def of_other_images(rows):
    return [row | {"n": 90} if row.get("attack") == "iter-fsgm" else row for row in rows]


@pytest.mark.parametrize(
    "rows",
    [
        rows_of("net", wrong=(0.1, 0.6)),
        of_other_images(rows_of("net", wrong=(0.05, 0.6))),
        [*rows_of("net", wrong=(0.05, 0.6)), *rows_of("net", seed=1, wrong=None)],
    ],
    ids=["equal", "of other images", "of fewer seeds"],
)
def test_what_is_not_above_it_or_cannot_be_compared_is_not_named(rows):
    assert above(board_of(rows)) == []
