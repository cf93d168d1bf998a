"""The rows of a difference, wherever it is made: in a run, or of published records."""

from collections.abc import Iterable, Mapping
from typing import Any

from lrbench.columns import INTERVAL
from lrbench.names import WORST
from lrbench.statistics import Estimate, Stopping


def difference_rows(found: Estimate, eps: float, space: str) -> list[dict[str, Any]]:
    """Give a difference of robust accuracy and its p as rows; over all seeds, so that they name none."""
    columns = {"seed": None, "attack": WORST, "eps": eps, "space": space, "n": found.images}
    columns |= {} if found.stopping is None else {INTERVAL: str(found.stopping)}
    low, high = found.interval
    difference = {"value": found.difference, "ci_low": low, "ci_high": high}
    return [
        {"metric": "robust_accuracy_difference", **difference, **columns},
        {"metric": "p_value", "value": found.p, **columns},
    ]


def stopping_in(rows: Iterable[Mapping[Any, Any]]) -> Stopping | None:
    """Give how it was found how many images are attacked, by rows of results; None if it was given."""
    named = next((row[INTERVAL] for row in rows if row["attack"] == WORST and row.get(INTERVAL)), None)
    return None if named is None else Stopping.named(named)
