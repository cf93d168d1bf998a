"""Over seeds: mean, standard deviation, and for proportions an interval."""

import math
from typing import Any

import numpy as np
import pandas as pd

from lrbench.columns import INTERVAL
from lrbench.leaderboard.results import COMPARED, RETIRED, is_own
from lrbench.measures.registry import metric_named
from lrbench.statistics import interval_of
from lrbench.views import CELL, parameters_of
from lrbench.views.rows import Row, fewest, records

NAN = float("nan")
"""No two NaN are equal, but this one is itself."""


def over_seeds(results: pd.DataFrame) -> pd.DataFrame:
    """One row for each model, layer, attack, eps, space, metric and parameters of the figure.

    The interval of a proportion is that of its mean over seeds with n the number of images, not images times seeds:
    all seeds see the same images, so pooling them would pretend to more evidence than there is. It is by the same
    method as those of the seeds. `sd` is the
    standard deviation over seeds (NaN for one seed). A row that is over all seeds already, such as a difference, keeps
    its interval. Of some figures, such as verdicts, it is the largest that counts, the worst of the seeds.

    Returns
    -------
    DataFrame
        Columns: those of `CELL`, a column for each parameter, value, sd, ci_low, ci_high, n, seeds.
    """
    columns = [*CELL, *parameters_of(results)]
    cells: dict[tuple[Any, ...], list[Row]] = {}
    for row in records(results[~results["metric"].isin(RETIRED)]):
        cell = tuple(NAN if pd.isna(row[name]) else row[name] for name in columns)
        cells.setdefault(cell, []).append(row)
    rows = [(*cell, *_joined(str(cell[CELL.index("metric")]), group)) for cell, group in cells.items()]
    return pd.DataFrame(rows, columns=[*columns, "value", "sd", "ci_low", "ci_high", "n", "seeds"])


def _joined(metric: str, group: list[Row]) -> tuple[Any, ...]:
    """Give of a figure its value over seeds, its deviation, its interval, its n and how many seeds there are."""
    values = np.array([row["value"] for row in group if not pd.isna(row["value"])], float)
    known = metric_named(metric)
    worst = known is not None and known.worst
    value = (float(values.max()) if worst else float(values.mean())) if len(values) else NAN
    # A median distance is infinite where under half of the images were fooled, and has no deviation over seeds.
    several = len(values) > 1 and math.isfinite(value)
    sd = float(values.std(ddof=1)) if several and not worst else NAN
    n = fewest(group)
    seeds = len({row["seed"] for row in group if not pd.isna(row["seed"])})
    return value, sd, *_interval(metric, value, group), n, seeds


def _interval(metric: str, value: float, group: list[Row]) -> tuple[float, float]:
    if any(pd.isna(row["ci_low"]) for row in group):
        return NAN, NAN
    first = group[0]
    known = metric_named(metric)
    # Of somebody's own nobody knows what it is an interval of, and a difference is no proportion: of several seeds
    # there is none.
    single = is_own(metric) or (known is not None and known.form == "points")
    if metric in COMPARED or (single and len(group) == 1):
        return float(first["ci_low"]), float(first["ci_high"])
    if single:
        return NAN, NAN
    n = fewest(group)
    return (NAN, NAN) if pd.isna(n) else interval_of(value, int(n), str(first.get(INTERVAL, "")))
