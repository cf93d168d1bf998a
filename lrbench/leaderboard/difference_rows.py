"""The rows of a difference, wherever it is made: in a run, or of published records."""

from typing import Any

from lrbench.statistics import Estimate

WORST = "worst-case"


def difference_rows(found: Estimate, eps: float, space: str) -> list[dict[str, Any]]:
    """Give a difference of robust accuracy and its p as rows; over all seeds, so that they name none."""
    columns = {"seed": None, "attack": WORST, "eps": eps, "space": space, "n": found.images}
    low, high = found.interval
    difference = {"value": found.difference, "ci_low": low, "ci_high": high}
    return [
        {"metric": "robust_accuracy_difference", **difference, **columns},
        {"metric": "p_value", "value": found.p, **columns},
    ]
