"""Over seeds: mean, standard deviation, and for proportions a Wilson interval."""

import pandas as pd

from lrbench.leaderboard.intervals import wilson
from lrbench.leaderboard.results import CELL


def over_seeds(results: pd.DataFrame) -> pd.DataFrame:
    """One row for each model, layer, attack, eps, space and metric.

    The interval of a proportion is that of its mean over seeds with n the number of images, not images times seeds:
    all seeds see the same images, so pooling them would pretend to more evidence than there is. `sd` is the
    standard deviation over seeds (NaN for one seed).

    Returns
    -------
    DataFrame
        Columns: those of `CELL`, value, sd, ci_low, ci_high, n, seeds.
    """
    rows = []
    for cell, group in results.groupby(CELL, sort=False, dropna=False):
        mean = float(group["value"].mean())
        n = group["n"].min()
        low = high = float("nan")
        if group["ci_low"].notna().all():
            low, high = wilson(mean, int(n))
        sd = float(group["value"].std(ddof=1)) if len(group) > 1 else float("nan")
        rows.append((*cell, mean, sd, low, high, n, group["seed"].nunique()))
    return pd.DataFrame(rows, columns=[*CELL, "value", "sd", "ci_low", "ci_high", "n", "seeds"])
