"""Over seeds: mean, standard deviation, and for proportions an interval."""

import math

import pandas as pd

from lrbench.columns import INTERVAL
from lrbench.leaderboard.results import COMPARED, RETIRED, is_own
from lrbench.measures.registry import metric_named
from lrbench.statistics import interval_of
from lrbench.views import CELL, parameters_of


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
    rows = []
    columns = [*CELL, *parameters_of(results)]
    for cell, group in results[~results["metric"].isin(RETIRED)].groupby(columns, sort=False, dropna=False):
        metric = str(cell[CELL.index("metric")])
        known = metric_named(metric)
        worst = known is not None and known.worst
        value = float(group["value"].max() if worst else group["value"].mean())
        n = group["n"].min()
        # A median distance is infinite where under half of the images were fooled, and has no deviation over seeds.
        several = len(group) > 1 and math.isfinite(value)
        sd = float(group["value"].std(ddof=1)) if several and not worst else float("nan")
        rows.append((*cell, value, sd, *_interval(metric, value, group), n, group["seed"].nunique()))
    return pd.DataFrame(rows, columns=[*columns, "value", "sd", "ci_low", "ci_high", "n", "seeds"])


def _interval(metric: str, value: float, group: pd.DataFrame) -> tuple[float, float]:
    if group["ci_low"].isna().any():
        return float("nan"), float("nan")
    if metric in COMPARED:
        return float(group["ci_low"].iloc[0]), float(group["ci_high"].iloc[0])
    known = metric_named(metric)
    if is_own(metric) or (known is not None and known.form == "points"):
        # Of somebody's own nobody knows what it is an interval of, and a difference is no proportion: of several seeds
        # there is none.
        bounds = (group["ci_low"].iloc[0], group["ci_high"].iloc[0]) if len(group) == 1 else ("nan", "nan")
        return float(bounds[0]), float(bounds[1])
    named = str(group[INTERVAL].iloc[0]) if INTERVAL in group else ""
    return interval_of(value, int(group["n"].min()), named)
