"""The findings against the boards that they sum up: no figure of theirs is another one there."""

import re
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
from scipy import stats

from lrbench import Leaderboard
from lrbench.leaderboard.figure_text import write_value
from lrbench.leaderboard.layout import WORST
from lrbench.leaderboard.outcomes import Run
from lrbench.statistics import detectable, difference_of, on_the_same_images

ROOT = Path(__file__).parents[2]
FINDINGS = (ROOT / "docs/findings.md").read_text("utf-8")
MODELS = {
    "late LR-Layer": "on-at-80",
    "LR-Layer under noise": "1-lr",
    "late norm penalty": "norm-at-80",
    "label smoothing": "label-smoothing",
    "1-LR": "1-lr",
    "norm penalty alone": "norm-penalty",
    "2-LR": "2-lr",
    "gradient penalty": "jacobian",
    "PGD training": "pgd",
    "PGD-trained 1-LR": "1-lr-pgd",
}
"""How the table's lines begin, and what their models are called on the boards."""


def lines(*, certified=False):
    """Rows of the table that are of robust accuracy, or all: what is compared, the board, and the figures."""
    for line in re.findall(r"^\| (?!---)(.+) \|$", FINDINGS.partition("![")[0], re.MULTILINE):
        cells = [cell.strip().replace("*", "") for cell in line.split(" | ")]
        board = re.match(r"`([\w-]+)`", cells[1])
        if board and (certified or cells[2].endswith("%")):
            yield pytest.param(cells, board[1], id=f"{board[1]}-{cells[0][:16]}")


run_of = cache(lambda board: Run.open(ROOT / "leaderboards" / board))
shown_of = cache(lambda board: Leaderboard.load(ROOT / "leaderboards" / board))
"""Boards by name: each is read once, and they are only looked at."""


def _found(board, model, eps, level=0.05):
    """Give the smallest difference that is found in 80 % of cases, if it scatters as this one does."""
    run = run_of(board)
    seeds = run.seeds(model)
    sides = [[run.wrong(name, seed) for seed in seeds] for name in (model, next(iter(run.board.suite["models"])))]
    (key,) = (key for key in sides[0][0] if key[0] == WORST and abs(key[1] - eps) < 1e-6)
    own, other = ([~wrong[key] for wrong in side] for side in sides)
    return detectable(len(seeds), len(own[0]), difference_of(*on_the_same_images(own, other)).components, level=level)


def test_the_table_is_found():
    assert len(list(lines())) >= 12
    assert len(list(lines(certified=True))) >= 13


def _model_of(cells, shown):
    model = next(model for start, model in MODELS.items() if cells[0].startswith(start))
    return model if model in shown.suite["models"] else f"resnet18-{model}"


@pytest.mark.parametrize(("cells", "board"), [*lines(certified=True)])
def test_what_it_costs_in_clean_accuracy_is_that_of_its_board(cells, board):
    shown = shown_of(board)
    rows = shown.results.query("metric == 'accuracy'").pivot_table(index="seed", columns="model", values="value")
    cost = rows[_model_of(cells, shown)] - rows[next(iter(shown.suite["models"]))]
    reach = stats.t.ppf(0.975, len(cost) - 1) * stats.sem(cost)
    mean, low, high = (write_value(cost.mean() + side * reach, "points") for side in (0, -1, 1))
    assert cells[7] == f"{mean} [{low}, {high}]"


@pytest.mark.parametrize(("cells", "board"), [*lines()])
def test_a_difference_is_that_of_its_board(cells, board):
    shown = shown_of(board)
    rows = shown.results
    model = _model_of(cells, shown)
    radius = re.search(r"(\d+)/255", cells[0])
    eps = float(Fraction(f"{radius[1] if radius else 8}/255"))
    here = rows[(rows["attack"] == "worst-case") & (rows["eps"] - eps).abs().lt(1e-6)]
    for cell, name in ((cells[2], model), (cells[3], next(iter(shown.suite["models"])))):
        wrong = here[(here["model"] == name) & (here["metric"] == "misclassification")]["value"]
        assert cell == f"{write_value(1 - wrong.mean(), 'percent')} %"
    found = here[(here["model"] == model) & (here["metric"] == "robust_accuracy_difference")]
    difference, low, high = (write_value(found[key].iloc[0], "points") for key in ("value", "ci_low", "ci_high"))
    assert cells[4] == f"{difference} [{low}, {high}]"
    p = shown.table().loc[model, f"p_adjusted[worst-case,{round(255 * eps)}/255]"]
    detected = _found(board, model, eps)
    assert cells[6] == ("-" if detected is None else f"{100 * detected:.1f}")
    assert cells[5] == ("< 1e-10" if p < 1e-10 else f"{p:.2g}" if p >= 0.001 else f"{p:.1e}")


def test_what_a_test_finds_once_adjusted_is_that_of_its_board():
    (adjusted,) = re.findall(r"they are ([\d.]+) and ([\d.]+) points instead of ([\d.]+) and ([\d.]+)\.", FINDINGS)
    cases = ("on-at-65-cifar10-jpeg", "1-lr", 2 / 255), ("lr-on-pgd-cifar10-jpeg", "resnet18-1-lr-pgd", 8 / 255)
    found = [100 * _found(*case, level) for level in (0.05 / 4, 0.05) for case in cases]
    assert adjusted == tuple(f"{points:.1f}" for points in found)
    assert f"find {adjusted[3]} points with 80 % power before adjustment and {adjusted[1]} after it" in FINDINGS


@pytest.mark.parametrize(
    ("picture", "board"),
    [
        ("low-rank", "on-at-65-cifar10-jpeg/figures/variance-ratio-avgpool"),
        ("differences", "rivals-short/figures/differences"),
    ],
)
def test_a_picture_is_that_of_its_board(picture, board):
    mine, theirs = ROOT / f"docs/figures/findings/{picture}.png", ROOT / f"leaderboards/{board}.png"
    assert mine.read_bytes() == theirs.read_bytes()
    assert f"figures/findings/{picture}.png" in FINDINGS
