"""The leaderboard of one run."""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lrbench.errors import UsageError, short
from lrbench.files import is_file
from lrbench.leaderboard.aggregate import over_seeds
from lrbench.leaderboard.figure_text import verdict_shown
from lrbench.leaderboard.layout import blocks_of, by_weight, ranking
from lrbench.leaderboard.read import optional_json, read_table, without_tables
from lrbench.leaderboard.reference import Comparison, comparisons
from lrbench.leaderboard.results import DERIVED, derived, spent
from lrbench.leaderboard.status import Status
from lrbench.names import WORST
from lrbench.store import as_path
from lrbench.suite import read_run
from lrbench.views import Block, Shown, joined

if TYPE_CHECKING:
    from altair import TopLevelMixin

Masking = dict[str, dict[str, Any]]

IDLE = "†"
"""Marks a model whose LR-Layers never acted."""


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
    status : Status, optional
        How far the run has come, and on what it was made, as in the run's `status.json`.
    unread : list of str, optional
        What this version of lrbench does not know of the run's `suite.yaml`, a line each.

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
        status: Status | None = None,
        unread: list[str] | None = None,
    ) -> None:
        self.suite, self.masking, self.failures = suite, masking or {}, failures or {}
        self.status, self.unread = status or Status(), unread or []
        measured = results[~results["metric"].isin(DERIVED)].reset_index(drop=True)
        self.results, self.limits = derived(measured, suite["threat_model"].get("l2_dissimilarities", []))

    @classmethod
    def load(cls, folder: str | Path) -> "Leaderboard":
        """Read a run's folder.

        Raises
        ------
        UsageError
            If it holds no results.
        """
        from lrbench.leaderboard.warned import warnings  # noqa: PLC0415

        path = as_path(folder)
        if not is_file(path / "results.csv"):
            raise without_tables(path)
        suite, unread = read_run(path)
        try:
            tables = [read_table(path / name) for name in ("results.csv", "timings.csv") if (path / name).exists()]
            masking, failures = (optional_json(path / name) for name in ("masking.json", "failures.json"))
            status = Status.of_run(path)
            results = joined(tables)
            board = cls(results, suite.model_dump(mode="json"), masking, failures, status, unread)
            board.blocks  # noqa: B018
            warnings(board)
        # A stranger's tables can lack or hold anything, and pandas says so in many ways.
        except Exception as error:
            msg = f"cannot read the results in {path}: {short(error)}"
            raise UsageError(msg) from error
        return board

    @cached_property
    def aggregated(self) -> pd.DataFrame:
        """Means over seeds with intervals, one row for each figure; a seed that has none counts as missing."""
        return over_seeds(self.results.dropna(subset=["value"]))

    @cached_property
    def shown(self) -> Shown:
        """What measures are shown from."""
        threat, attacks = self.suite["threat_model"], by_weight(self.suite)
        attacked = {"attacks": attacks, "radii": threat["eps"], "norm": threat["norm"], "space": threat["space"]}
        return Shown(self.results, self.aggregated, self.labels, len(self.suite["seeds"]), **attacked)

    @cached_property
    def blocks(self) -> list[Block]:
        """Tables of the leaderboard: what it shows of each model."""
        data = self.results["dataset"].iloc[0] if len(self.results) else self.suite["data"]["name"]
        return blocks_of(self.shown, self.suite, str(data), self.status.progress)

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Published figures beside the measured ones."""
        return comparisons(self.aggregated, self.suite)

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Model -> rank, from 1; equal figures have equal ranks.

        By verdict, since figures of an attack that failed rank nothing; then by robust accuracy in the worst case at
        the radius that the summary shows; then by clean accuracy; each as it is shown. What is missing ranks last.
        """
        return {model: int(cell.value) for model, cell in ranking(self.shown, self.suite).cells.items()}

    @cached_property
    def models(self) -> list[str]:
        """Best first; equal ones as they came."""
        return sorted(self.ranks, key=self.ranks.__getitem__)

    @cached_property
    def idle(self) -> dict[str, list[int]]:
        """Model -> seeds with which its LR-Layers never acted, so that it is a normal network under that name."""
        table = self.results
        rows = table[(table["metric"] == "lr_layer_epochs") & (table["value"] == 0)]
        return {str(model): sorted(map(int, group["seed"])) for model, group in rows.groupby("model", sort=False)}

    @cached_property
    def labels(self) -> dict[str, str]:
        """Model -> its name as it is shown: marked where its LR-Layers never acted."""
        names = dict.fromkeys([*self.suite["models"], *self.aggregated["model"]])
        return {name: f"{name} {IDLE}" if name in self.idle else name for name in names}

    def cautions(self, model: str) -> list[str]:
        """Say what keeps a model's figures from being what its name promises; goes wherever they are shown."""
        progress = self.status.progress_of(model)
        if progress and self.status.models:
            progress = f"{self.labels[model]}: {progress}"
        lines = [f"{progress}: {self.status.lack}."] if progress else []
        if model in self.idle:
            training = self.suite["models"].get(model, {}).get("training") or self.suite["training"]
            seeds = ", ".join(map(str, self.idle[model]))
            lines.append(
                f"{self.labels[model]}: its LR-Layers never acted with seed {seeds}, since training accuracy did not "
                f"reach {training['warmup_accuracy']:g} (training.warmup_accuracy): it is the network without them."
            )
        return lines

    def table(self) -> pd.DataFrame:
        """One row a model, best first; a column for each figure and, for proportions, its interval."""
        rows: dict[str, dict[str, float | str]] = {model: self._marks(model) for model in self.models}
        for column in (column for block in self.blocks for column in block.columns if not column.passing):
            if column.form == "verdict":
                for model in self.models:
                    rows[model][column.key] = verdict_shown(column.cells.get(model))
                continue
            if column.form == "rank":
                for model, rank in self.ranks.items():
                    rows[model][column.key] = rank
                continue
            for model, cell in column.cells.items():
                rows[model][column.key] = cell.value
                if cell.interval is not None:
                    rows[model][f"{column.key}_low"], rows[model][f"{column.key}_high"] = cell.interval
                rows[model][f"{column.key}_sd"] = cell.sd
                if cell.n is not None:
                    rows[model][f"{column.key}_n"] = cell.n
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")

    def _marks(self, model: str) -> dict[str, float | str]:
        """Say in a row of `table` what keeps its figures from being what the model's name promises."""
        marks: dict[str, float | str] = {}
        if model in self.idle:
            marks["lr_layers"] = "never acted with seed " + ", ".join(map(str, self.idle[model]))
        if progress := self.status.progress_of(model):
            marks["steps"] = progress
        return marks

    def plot(self, name: str = f"radius-{WORST}") -> "TopLevelMixin":
        """Draw an interactive chart, for a notebook.

        Parameters
        ----------
        name : str
            "radius-ATTACK", "distance-ATTACK", and what measures show: "variance-LAYER", "classes-LAYER", "embeddings",
            "compression-FIGURE".

        Raises
        ------
        KeyError
            If the results hold no such chart; the message lists those there are.
        """
        from lrbench.leaderboard.notebook import plotted  # noqa: PLC0415

        return plotted(self.shown, self.suite, name)

    def __repr__(self) -> str:
        """Give the summary as text."""
        from lrbench.leaderboard.render import summary_text  # noqa: PLC0415

        return summary_text(self)

    def _repr_html_(self) -> str:
        """Show the summary in a notebook."""
        from lrbench.leaderboard.render import summary_html  # noqa: PLC0415

        return summary_html(self)

    def to_csv(self) -> str:
        """`table` as CSV."""
        return self.table().to_csv()

    def to_json(self) -> str:
        """`table`, how much is done, the curves' ranges, the suite and what the masking checks said, as JSON."""
        models = json.loads(self.table().to_json(orient="index", double_precision=15))
        steps = {"done": self.status.done, "planned": self.status.planned}
        cautions = {model: lines for model in self.models if (lines := self.cautions(model))}
        whole = {"suite": self.suite, "steps": steps, "cautions": cautions, "l2_limits": self.limits, "models": models}
        whole |= {"environments": self.status.environments, "masking": self.masking}
        return json.dumps(whole, indent=2) + "\n"

    @property
    def _spent(self) -> "pd.Series[bool]":
        return spent(self.results)

    def results_csv(self) -> str:
        """Tidy results as CSV, without times and passes: a repeated run gives the same bytes."""
        return self.results[~self._spent].to_csv(index=False)

    def timings_csv(self) -> str:
        """Measured times and passes as CSV, with the same columns; empty if there are none."""
        times = self.results[self._spent]
        return "" if times.empty else times.to_csv(index=False)
