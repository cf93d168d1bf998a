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
    flagged = any(each["flagged"] for each in checks)
    rows = rows_of("net", verdict="broken" if flagged else "held up")
    last = attacks[-1] if isinstance(attacks[-1], str) else attacks[-1]["name"]
    ran = [row | {"attack": last} if row.get("attack") == "iter-fsgm" else row for row in rows]
    made = board_of(ran, attacks=list(attacks))
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
    assert said.startswith("net, seeds 0, 3: large-logits (broken), 0.25, 0.5: largest logit; flagged above 0.2. ")


def test_a_figure_that_all_seeds_share_is_given_once_and_what_differs_by_seed_apart():
    made = board([CHECK])
    older = CHECK | {"severity": "suspicious", "advice": "Wait."}
    found = {"0": CHECK, "1": CHECK, "2": older}
    seeds = {seed: {"verdict": "broken", "checks": [each]} for seed, each in found.items()}
    first, second = warnings(Leaderboard(made.results, made.suite, {"net": seeds}))
    assert first.startswith("net, seeds 0, 1: large-logits (broken), 0.25: ")
    assert second.startswith("net, seed 2: large-logits (suspicious), 0.25: ")
    assert second.endswith("Wait.")


def test_a_seed_s_verdict_without_a_reason_says_so_where_another_one_has_one():
    rows = [*rows_of("net", 0, verdict="suspicious"), *rows_of("net", 1, verdict="broken")]
    made = board_of(rows, attacks=["pgd"], seeds=[0, 1])
    masking = {"net": {"0": {"verdict": "suspicious", "checks": [CHECK | {"severity": "suspicious"}]}}}
    known, unknown = warnings(Leaderboard(made.results, made.suite, masking))
    assert known.startswith("net, seed 0: large-logits (suspicious), 0.25: ")
    assert unknown == "net, seed 1: broken, and which checks say so is not known; run its suite again."


def test_a_seed_s_verdict_without_a_reason_is_not_hidden_by_another_one_s_of_the_same_kind():
    rows = [row for seed in (0, 1) for row in rows_of("net", seed, verdict="broken")]
    made = board_of(rows, attacks=["pgd"], seeds=[0, 1])
    masking = {"net": {"0": {"verdict": "broken", "checks": [CHECK]}}}
    *_, unknown = warnings(Leaderboard(made.results, made.suite, masking))
    assert unknown == "net, seed 1: broken, and which checks say so is not known; run its suite again."


@pytest.mark.parametrize("checks", [[], [CHECK | {"flagged": "false"}]])
def test_a_verdict_without_a_reason_says_so(checks):
    made = board([CHECK])
    for masking in ({}, {"net": {"0": {"verdict": "broken", "checks": checks}}}):
        (said,) = warnings(Leaderboard(made.results, made.suite, masking))
        assert said == "net, seed 0: broken, and which checks say so is not known; run its suite again."


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
