"""A figure of each model of a run over its seeds, and its difference to the first model's, paired by seed.

    python -m benchmarks.paired runs/smoothing mean_certified_radius
    python -m benchmarks.paired runs/smoothing certified_accuracy radius=0.5

Intervals are 95 % (Student's t over seeds), p is two-sided and adjusted over the models (Holm).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from lrbench.statistics import holm


def of_seeds(results: pd.DataFrame, metric: str, where: dict[str, str]) -> pd.DataFrame:
    """Give a figure, a row a seed and a column a model, models in the order of the table."""
    rows = results[results["metric"] == metric]
    for column, value in where.items():
        if column not in rows:
            msg = f"no column {column!r}; there are {', '.join(results.columns)}"
            raise SystemExit(msg)
        rows = rows[rows[column] == value]
    if rows.empty or rows.duplicated(["model", "seed"]).any():
        msg = f"{len(rows)} rows of {metric} with {where or 'nothing more said'}; one a model and seed is wanted"
        raise SystemExit(msg)
    models = list(dict.fromkeys(rows["model"]))
    table = rows.assign(value=pd.to_numeric(rows["value"])).pivot_table(index="seed", columns="model", values="value")
    if len(table) < 2 or table.isna().any(axis=None):
        msg = f"{metric} of {', '.join(models)} for seeds {', '.join(table.index)}: two seeds of every model are wanted"
        raise SystemExit(msg)
    return table[models]


def mean_and_interval(values: np.ndarray) -> str:
    """Write a mean over seeds with its interval."""
    reach = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():+.4f} [{values.mean() - reach:+.4f}, {values.mean() + reach:+.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("metric")
    parser.add_argument("where", nargs="*", help="COLUMN=VALUE")
    given = parser.parse_args()
    if not (given.run / "results.csv").is_file():
        parser.error(f"{given.run} holds no results.csv")
    if wrong := [each for each in given.where if "=" not in each]:
        parser.error(f"{wrong[0]!r} is no COLUMN=VALUE")
    results = pd.read_csv(given.run / "results.csv", dtype=str, keep_default_na=False)
    table = of_seeds(results, given.metric, dict(each.split("=", 1) for each in given.where))
    baseline, *others = table.columns
    sys.stdout.write(f"{given.metric} {' '.join(given.where)}, seeds {', '.join(table.index)}\n\n")
    sys.stdout.write(f"| model | mean | minus {baseline} | p | adjusted |\n| --- | --- | --- | ---: | ---: |\n")
    sys.stdout.write(f"| {baseline} | {mean_and_interval(table[baseline].to_numpy())} | | | |\n")
    p = [float(stats.ttest_rel(table[name], table[baseline]).pvalue) for name in others]
    for name, raw, adjusted in zip(others, p, holm(p), strict=True):
        difference = mean_and_interval((table[name] - table[baseline]).to_numpy())
        sys.stdout.write(
            f"| {name} | {mean_and_interval(table[name].to_numpy())} | {difference} | {raw:.4f} | {adjusted:.4f} |\n"
        )


if __name__ == "__main__":
    main()
