"""The leaderboard of one run."""

import io
import json
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lrbench.errors import UsageError, short
from lrbench.files import is_file
from lrbench.leaderboard.aggregate import over_seeds
from lrbench.leaderboard.figure_text import figure_parts
from lrbench.leaderboard.layout import WORST, Block, blocks_of, summed_up
from lrbench.leaderboard.reference import Comparison, comparisons
from lrbench.leaderboard.results import COLUMNS, TEXT, derived, is_derived, is_time
from lrbench.store import place_of
from lrbench.suite import read_run
from lrbench.verdicts import VERDICTS

if TYPE_CHECKING:
    from altair import TopLevelMixin

Masking = dict[str, dict[str, Any]]


class Leaderboard:
    """Results of a run, as tables.

    Parameters
    ----------
    results : DataFrame
        Tidy, one row a measurement, with the columns of `results.csv`; figures that follow from others may be left out.
    suite : dict
        Content of the run's `suite.yaml`.
    masking : dict, optional
        Model -> seed -> what the checks for masked gradients said, as in the run's `masking.json`.
    failures : dict, optional
        Step -> why it is missing, as in the run's `failures.json`.

    Attributes
    ----------
    results : DataFrame
    limits : dict
        Attack -> L2 dissimilarity up to which its curves were integrated.
    """

    def __init__(
        self,
        results: pd.DataFrame,
        suite: dict[str, Any],
        masking: Masking | None = None,
        failures: dict[str, str] | None = None,
    ) -> None:
        self.suite, self.masking, self.failures = suite, masking or {}, failures or {}
        measured = results[~results["metric"].map(is_derived).astype(bool)].reset_index(drop=True)
        self.results, self.limits = derived(measured, suite["threat_model"].get("l2", []))

    @classmethod
    def load(cls, folder: str | Path) -> "Leaderboard":
        """Read a run's folder.

        Raises
        ------
        UsageError
            If it holds no results.
        """
        path = place_of(folder)
        if not is_file(path / "results.csv"):
            msg = f"no results in {path}; name the folder of a run, such as runs/quick (`lrbench run` makes one)"
            raise UsageError(msg)
        suite = read_run(path)
        try:
            tables = [_read_table(path / name) for name in ("results.csv", "timings.csv") if (path / name).exists()]
            masking, failures = (_optional_json(path / name) for name in ("masking.json", "failures.json"))
            board = cls(pd.concat(tables, ignore_index=True), suite.model_dump(mode="json"), masking, failures)
            board.blocks  # noqa: B018
        # A stranger's tables can lack or hold anything, and pandas says so in many ways.
        except Exception as error:
            msg = f"cannot read the results in {path}: {short(error)}"
            raise UsageError(msg) from error
        return board

    @cached_property
    def aggregated(self) -> pd.DataFrame:
        """Means over seeds with intervals, one row for each figure."""
        return over_seeds(self.results)

    @cached_property
    def blocks(self) -> list[Block]:
        """Tables of the leaderboard: what it shows of each model."""
        data = self.results["dataset"].iloc[0] if len(self.results) else self.suite["data"]["name"]
        return blocks_of(self.aggregated, self.suite, str(data))

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Published figures beside the measured ones."""
        return comparisons(self.aggregated, self.suite)

    @cached_property
    def models(self) -> list[str]:
        """Models, best first.

        By verdict, since figures of an attack that failed rank nothing; then by misclassification in the worst case
        over attacks, mean over radii; by the largest area under a summed-up attack's curve; by accuracy.
        """
        table = self.aggregated
        verdict = table[table["metric"] == "verdict"].set_index("model")["value"]
        errors = table[(table["metric"] == "misclassification") & (table["attack"] == WORST)]
        worst = errors.groupby("model")["value"].mean()
        curves = table[(table["metric"] == "auc_l2") & table["attack"].isin(summed_up(self.suite))]
        areas = curves.groupby("model")["value"].max()
        accuracy = -table[table["metric"] == "accuracy"].set_index("model")["value"]
        names = list(dict.fromkeys(table["model"]))
        return sorted(names, key=lambda name: tuple(by.get(name, 0.0) for by in (verdict, worst, areas, accuracy)))

    def table(self) -> pd.DataFrame:
        """One row a model, best first; a column for each figure and, for proportions, its interval."""
        rows: dict[str, dict[str, float | str]] = {model: {} for model in self.models}
        for column in (column for block in self.blocks for column in block.columns):
            for model, cell in column.cells.items():
                if column.form == "verdict":
                    rows[model][column.key] = VERDICTS[int(cell.value)]
                    continue
                rows[model][column.key] = cell.value
                if cell.interval is not None:
                    rows[model][f"{column.key}_low"], rows[model][f"{column.key}_high"] = cell.interval
                rows[model][f"{column.key}_sd"] = cell.sd
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")

    def plot(self, name: str = f"radius-{WORST}") -> "TopLevelMixin":
        """Draw an interactive chart, for a notebook.

        Parameters
        ----------
        name : str
            "radius-ATTACK", "distance-ATTACK", "variance-LAYER", "classes-LAYER", "embeddings", "compression-FIGURE".

        Raises
        ------
        KeyError
            If the results hold no such chart; the message lists those there are.
        """
        # Altair is not needed where nothing is drawn.
        from lrbench.leaderboard.charts import chart  # noqa: PLC0415

        return chart(self, name)

    def _repr_html_(self) -> str:
        """Show the summary in a notebook."""
        block = self.blocks[0]
        cells = {
            column.heading: [
                "-" if (cell := column.cells.get(model)) is None else " ".join(figure_parts(cell, column.form))
                for model in self.models
            ]
            for column in block.columns
        }
        shown = pd.DataFrame(cells, index=pd.Index(self.models, name="model"))
        return f"<p>{escape(block.title)}</p>{shown.to_html(escape=True)}"

    def to_csv(self) -> str:
        """`table` as CSV."""
        return self.table().to_csv()

    def to_json(self) -> str:
        """`table`, the curves' ranges, the suite and what the masking checks said, as JSON."""
        models = json.loads(self.table().to_json(orient="index", double_precision=15))
        whole = {"suite": self.suite, "l2_limits": self.limits, "models": models, "masking": self.masking}
        return json.dumps(whole, indent=2) + "\n"

    @property
    def _timed(self) -> "pd.Series[bool]":
        return self.results["metric"].map(is_time).astype(bool)

    def results_csv(self) -> str:
        """Tidy results as CSV, without measured times: a repeated run gives the same bytes."""
        return self.results[~self._timed].to_csv(index=False)

    def timings_csv(self) -> str:
        """Measured times as CSV, with the same columns; empty if there are none."""
        times = self.results[self._timed]
        return "" if times.empty else times.to_csv(index=False)


def _read_table(path: Path) -> pd.DataFrame:
    types = {"seed": "Int64", "n": "Int64"} | dict.fromkeys(TEXT, str)
    table = pd.read_csv(io.BytesIO(path.read_bytes()), dtype=types)
    if tuple(table.columns) != COLUMNS:
        msg = f"{path.name} must have the columns {', '.join(COLUMNS)}"
        raise ValueError(msg)
    table[list(TEXT)] = table[list(TEXT)].fillna("")
    return table


def _optional_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return content
