"""Leaderboards of rows that are made up, for what a run would show only by chance."""

from lrbench.leaderboard import Leaderboard, tidy
from lrbench.statistics import wilson
from lrbench.suite import Suite

EPS = [8 / 255, 16 / 255]
VERDICT = {"held up": 0, "suspicious": 1, "broken": 2}


def suite_of(names, **changes):
    content = {
        "name": "mine",
        "data": "digits",
        "models": {name: {"arch": "resnet18"} for name in names},
        "threat_model": {"eps": EPS, "space": "pixel"},
        "attacks": ["iter-fsgm"],
    }
    return Suite.model_validate({**content, **changes}).model_dump(mode="json")


def share(metric, value, n=1000, **columns):
    low, high = wilson(value, n)
    return {"metric": metric, "value": value, "ci_low": low, "ci_high": high, "n": n, **columns}


def rows_of(model, seed=0, accuracy=0.9, wrong=(0.3, 0.6), verdict="held up"):
    """Rows of one training; `wrong` is None where its attack failed."""
    rows = [share("accuracy", accuracy), share("misclassification", 0.1, 100, eps=0.0, space="pixel")]
    for attack in ("iter-fsgm", "worst-case"):
        for eps, value in zip(EPS, wrong or (), strict=bool(wrong)):
            rows.append(share("misclassification", value, 100, attack=attack, eps=eps, space="pixel"))
    if verdict is not None:
        rows.append({"metric": "verdict", "value": VERDICT[verdict], "n": 50})
    return [{"suite": "mine", "dataset": "digits", "model": model, "seed": seed, **row} for row in rows]


def board_of(rows, status=None, **changes):
    names = dict.fromkeys(row["model"] for row in rows)
    return Leaderboard(tidy(rows), suite_of(names, **changes), status=status)
