"""What stands below the first table alone, as `print(board)` shows it: whatever would make it mislead."""

import pytest
from support.tables import board_of, rows_of

from lrbench import Leaderboard
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.render import summary_html, summary_text
from lrbench.leaderboard.warned import warnings

CHECK = {
    "id": "large-logits",
    "figure": 0.25,
    "severity": "broken",
    "flagged": True,
    "explanation": "Logits hide it.",
    "advice": "Take the margin.",
}
PASSED = CHECK | {"id": "flat", "flagged": False, "explanation": "Flat."}


def board(checks=(), attacks=("pgd",)):
    made = board_of(rows_of("net", verdict="broken" if checks else "held up"), attacks=list(attacks))
    return Leaderboard(made.results, made.suite, {"net": {"0": {"verdict": "broken", "checks": [*checks]}}})


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (board([CHECK, PASSED]), "net, seed 0: large-logits (0.25, broken). Logits hide it. Take the margin."),
        (board(attacks=["fgsm"]), "Only fgsm ran, a weak attack: a model that withstands a weak attack is not "),
        (
            board(attacks=["fgsm", {"name": "autoattack", "queries": 50}]),
            "autoattack is not the standard version of AutoAttack here: queries 50. Do not compare its figures with ",
        ),
    ],
    ids=["flagged", "weak", "not standard"],
)
def test_the_first_table_alone_says_what_would_mislead(shown, line):
    (said,) = warnings(shown)
    assert said.startswith(line)
    assert said in notes(shown)
    for view in (summary_text(shown), summary_html(shown)):
        assert said in view


def test_where_nothing_misleads_nothing_is_said():
    assert warnings(board([PASSED])) == []
    assert warnings(board(attacks=["autoattack"])) == []
