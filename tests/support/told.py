"""What a published board says of a model, or of two, and whether a text says the same."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from lrbench import Leaderboard
from lrbench.leaderboard.outcomes import Run
from lrbench.statistics import detectable, difference_of, holm, on_the_same_images

ROOT = Path(__file__).parents[2]

board_of = cache(lambda board: Leaderboard.load(ROOT / "leaderboards" / board))
run_of = cache(lambda board: Run.open(ROOT / "leaderboards" / board))
shown_of = cache(lambda board: board_of(board).table())
"""What is read of a board, once and only to be looked at."""


class Figure(NamedTuple):
    """What stands in a cell, and what its board says, in the same units."""

    value: float
    sd: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan


CELL = re.compile(
    r"(?P<value>[-+]?\d+(?:\.\d+)?)(?: ± (?P<sd>[\d.]+))?(?: \[(?P<low>[-+\d.]+), (?P<high>[-+\d.]+)\])?"
    r"(?: ± (?P<sd_after>[\d.]+))?(?:, p = (?P<p>[\d.e-]+))?"
)


def per_seed(board, model, column):
    """Give a figure of a model seed by seed, where the board has it in no table or has no difference of it."""
    rows = board_of(board).results
    metric, k, where = re.fullmatch(r"(\D+?)(?:_(\d+))?(?:\[(.+)\])?", column).groups()
    rows = rows[(rows["model"] == model) & (rows["metric"] == metric)]
    if k:
        rows = rows[(pd.to_numeric(rows["k"]) == int(k)) & (rows["layer"] == where)]
    elif attacked := re.fullmatch(r"([\w-]+),([\w-]+),(\d+)/255", where or ""):
        layer, attack, eps = attacked.groups()
        rows = rows[
            (rows["layer"] == layer) & (rows["attack"] == attack) & rows["eps"].sub(int(eps) / 255).abs().lt(1e-6)
        ]
    elif kept := re.fullmatch(r"([\w-]+),(full)", where or ""):
        rows = rows[(rows["layer"] == kept[1]) & (rows["dimensions"] == kept[2])]
    elif where:
        rows = rows[pd.to_numeric(rows["radius"]) == float(where)]
    assert len(rows)
    assert rows["seed"].is_unique
    return rows.sort_values("seed")["value"].to_numpy()


def figure(board, model, column):
    """Give what the board says of a model."""
    scale = 100 if re.match(r"\w*accuracy", column) else 1
    shown = shown_of(board)
    if column not in shown:
        values = per_seed(board, model, column)
        return Figure(scale * values.mean(), scale * values.std(ddof=1) if len(values) > 1 else np.nan)
    found = [shown.loc[model].get(f"{column}{part}", np.nan) for part in ("", "_sd", "_low", "_high")]
    return Figure(*(scale * each for each in found))


def outcomes(board, model, column, other):
    """Give which images two models withstand an attack on, (S, N) bool each; `board/model` is one of another board."""
    attack, eps = re.fullmatch(r"robust_accuracy\[([\w-]+),(\d+)(?:/255)?\]", column).groups()
    *elsewhere, theirs = other.split("/")
    runs = [(model, run_of(board)), (theirs, run_of(*elsewhere or [board]))]
    assert len({run.test_images(name) for name, run in runs}) == 1
    sides = [[run.wrong(name, seed) for seed in run_of(board).seeds(model)] for name, run in runs]
    (key,) = (
        key for key in sides[0][0] if key[0] == (attack if int(eps) else "") and abs(255 * key[1] - int(eps)) < 1e-6
    )
    return on_the_same_images(*([~wrong[key] for wrong in side] for side in sides))


def found_with_power(board, model, column, other, level=0.05):
    """Give the smallest difference in points that is found in 80 % of cases, if it scatters as here."""
    first, second = outcomes(board, model, column, other)
    found = detectable(*first.shape, difference_of(first, second).components, level=level)
    return Figure(np.nan if found is None else 100 * found)


def difference(board, model, column, other, *, raw=False):
    """Give what the board says of a model beside another one, or its outcomes do; p adjusted as there, or raw.

    The other may be one of another board, `board/model`, of the same seeds.
    """
    shown = shown_of(board)
    told = column.replace("robust_accuracy", "robust_accuracy_difference")
    if (
        not raw
        and column.startswith("robust_accuracy[worst-case")
        and told in shown
        and other == next(iter(board_of(board).suite["models"]))
    ):
        value, low, high = (100 * shown.loc[model, f"{told}{part}"] for part in ("", "_low", "_high"))
        return Figure(value, np.nan, low, high, shown.loc[model, told.replace(told.split("[")[0], "p_adjusted")])
    if column.startswith("robust_accuracy["):
        found = difference_of(*outcomes(board, model, column, other))
        return Figure(100 * found.difference, np.nan, *(100 * bound for bound in found.interval), found.p)
    scale = 100 if re.match(r"\w*accuracy", column) else 1
    *elsewhere, theirs = other.split("/")
    beside = per_seed(*elsewhere or [board], theirs, column)
    apart = {name: per_seed(board, name, column) - beside for name in shown.index if name != other}
    adjusted = dict(zip(apart, holm([stats.ttest_1samp(each, 0).pvalue for each in apart.values()]), strict=True))
    mean, reach = apart[model].mean(), stats.t.ppf(0.975, len(apart[model]) - 1) * stats.sem(apart[model])
    return Figure(scale * mean, np.nan, scale * (mean - reach), scale * (mean + reach), adjusted[model])


def p_over_rows(board, model, column, other):
    """Give a row's p, adjusted as in `lrbench compare`: over the clean row and those of attacks."""
    rows = [
        f"robust_accuracy[{attack or 'clean'},{round(255 * eps)}/255]"
        for attack, eps in run_of(board).wrong(model, run_of(board).seeds(model)[0])
        if attack != "worst-case"
    ]
    raw = [difference(board, model, row, other, raw=True).p for row in rows]
    return dict(zip(rows, holm(raw), strict=True))[column]


def rounded(shown, true):
    """Whether a number as it is written is this one, rounded."""
    return abs(float(shown) - true) <= 0.5 * 10.0 ** -len(shown.partition(".")[2]) + 1e-9


def says(cell, true):
    """Whether each number of a cell is that of its board: p to two digits, the others to those that are written."""
    found = CELL.fullmatch(cell)
    if found is None or (found["sd"] and found["sd_after"]):
        return False
    found = found.groupdict()
    p, found["sd"] = found.pop("p"), found.pop("sd_after") or found["sd"]
    told = all(rounded(text, getattr(true, name)) for name, text in found.items() if text)
    return told and (p is None or float(p) == float(f"{true.p:.2g}"))
