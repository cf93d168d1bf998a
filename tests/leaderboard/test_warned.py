"""What stands below the first table alone, as `print(board)` shows it: whatever would make it mislead."""

import json

import pytest
import yaml
from support.tables import board_of, rows_of

from lrbench import Leaderboard
from lrbench.errors import UsageError
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.render import summary_html, summary_text
from lrbench.leaderboard.warned import warnings

CHECK = {
    "id": "large-logits",
    "figure": 0.25,
    "severity": "broken",
    "flagged": True,
    "condition": "largest logit; flagged above 0.2",
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
        (
            board([CHECK, PASSED]),
            "net, seed 0: large-logits (broken), 0.25: largest logit; flagged above 0.2. Logits hide it. Take the ",
        ),
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


def test_each_seed_s_figure_of_a_check_is_given():
    made = board([CHECK])
    seeds = {
        seed: {"verdict": "broken", "checks": [CHECK | {"figure": figure}]}
        for seed, figure in (("0", 0.25), ("3", 0.5))
    }
    (said,) = warnings(Leaderboard(made.results, made.suite, {"net": seeds}))
    assert said.startswith("net, seed 0, 3: large-logits (broken), 0.25, 0.5: largest logit; flagged above 0.2. ")


def test_a_model_that_strong_attacks_could_not_be_tried_on_is_named():
    rows = [*rows_of("net"), *rows_of("function")]
    rows = [
        row | {"attack": {"net": "pgd", "function": "gaussian-noise"}[row["model"]]}
        if row.get("attack") == "iter-fsgm"
        else row
        for row in rows
    ]
    made = board_of(rows, attacks=["pgd", "gaussian-noise"])
    made.suite["models"]["function"]["lacks"] = ["gradients"]
    assert warnings(made) == [
        "LEFT OUT of function: pgd, since it has no gradients. Its worst case is over fewer attacks than that of the "
        "other models, and so a looser bound.",
        "Only gaussian-noise ran on function, a weak attack: a model that withstands a weak attack is not shown to be "
        "robust.",
    ]
    assert set(warnings(made)) <= set(notes(made))


def test_a_flag_without_a_figure_is_shown_without_one():
    (said,) = warnings(board([CHECK | {"figure": None}]))
    assert said.startswith("net, seed 0: large-logits (broken), -: largest logit; flagged above 0.2. ")


@pytest.mark.parametrize("masking", [{"net": {"0": {"verdict": "broken"}}}, {"net": None}])
def test_checks_that_cannot_be_read_are_refused_when_the_board_is(masking, tmp_path):
    made = board()
    (tmp_path / "results.csv").write_text(made.results_csv())
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(made.suite))
    (tmp_path / "masking.json").write_text(json.dumps(masking))
    with pytest.raises(UsageError, match="cannot read the results"):
        Leaderboard.load(tmp_path)
