"""What became of each test image: the per-example outcomes that a run's steps kept, or a published board's records."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from lrbench.errors import UsageError, nearest
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.kept import RECORDS, Content, Key, environments_of, read_record, unpacked
from lrbench.leaderboard.left import PLAN
from lrbench.leaderboard.status import distinct
from lrbench.leaderboard.worth import CLEAN
from lrbench.names import WORST, attack_id, fooled_by, model_in, model_path, whole_of
from lrbench.store import Record, Store, View, as_path, taken_under

__all__ = ["CLEAN", "Key", "Run"]


@dataclass(frozen=True)
class Run:
    """A run's folder, or that of a published board, which keeps the outcomes and not the steps.

    Attributes
    ----------
    folder : Path
    board : Leaderboard
    view : View
        Of the folder's steps.
    """

    folder: Path
    board: Leaderboard
    view: View

    @classmethod
    def open(cls, folder: str | Path, view: View | None = None) -> "Run":
        """Read a run's folder; `view` is what was read of its steps already.

        Raises
        ------
        UsageError
            If it holds no results.
        """
        return cls(as_path(folder), Leaderboard.load(folder), view or Store(folder).view())

    @property
    def store(self) -> Store:
        """The folder's steps."""
        return self.view.store

    @cached_property
    def published(self) -> dict[str, Content]:
        """Records of a published board by model; empty for a run's folder."""
        records = [read_record(path) for path in sorted((self.folder / RECORDS).glob("*.json"))]
        return {record["model"]: record for record in records}

    def environments(self, model: str | None = None) -> list[dict[str, Any]]:
        """Give the machines, versions and flags that a model's steps, or all, were taken under, the commonest first.

        What they were compared with or made on, such as the surrogate of a transfer attack, has records of its own.
        """
        if self.published:
            chosen = self.published.values() if model is None else [self._record_of(model)]
            return distinct(each for record in chosen for each in environments_of(record))
        mine = (step for step in self.plan if model is None or model_in(step) == model)
        records = (self.view.record(step) for step in mine)
        return taken_under(self.store, (record for record in records if record is not None))

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What most of the run's steps were taken under, and `others` if there were; empty if it says nothing."""
        if self.published:
            return self.environments()[0]
        try:
            content = json.loads((self.folder / "environment.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    @cached_property
    def plan(self) -> dict[str, str]:
        """Steps that the run's suite takes, and their keys. The folder may hold more, of an earlier form of the suite.

        Raises
        ------
        UsageError
            If the run does not say.
        """
        try:
            return dict(json.loads((self.folder / PLAN).read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            msg = f"{self.folder} does not say which steps it is made of (plan.json); run its suite again"
            raise UsageError(msg) from error

    def test_images(self, model: str) -> str:
        """Give the fingerprint of the test set that a model was measured on.

        Raises
        ------
        UsageError
            If its accuracy was not measured, or the record of that is damaged.
        """
        if self.published:
            return str(self._record_of(model)["test_images"])
        named = self._test_images(model)
        if named is None:
            msg = f"{self.folder} has nothing yet that was measured of {model}; run its suite again"
            raise UsageError(msg)
        return named

    def is_measured(self, model: str) -> bool:
        """Whether anything was measured of a model beside its training."""
        return self._test_images(model) is not None

    def _test_images(self, model: str) -> str | None:
        # Networks are trained on other images, which is all that such a step names.
        named = (step.config.get("data", {}).get("test") for step in self.steps(model).values() if step is not None)
        return next((str(test) for test in named if test), None)

    def steps(self, model: str) -> dict[str, Record | None]:
        """Give the records of a model's steps, each file held against its checksum; None for a step that is not done.

        Raises
        ------
        UsageError
            If one is damaged.
        """
        mine = (step for step in self.plan if model_in(step) == model)
        # Of what is damaged `record` tells.
        there = {step: self.as_planned(step) or self.view.has_damaged_record(step) for step in mine}
        found = {step: self.record(step) if known else None for step, known in there.items()}
        # Parts of what was finished as a whole are never made.
        return {step: record for step, record in found.items() if record or not found.get(whole_of(step))}

    def as_planned(self, step_id: str) -> Record | None:
        """Give the record of a step of the plan, if there is one that is not of an earlier form of the suite."""
        record = self.view.record(step_id)
        return record if record is not None and record.key == self.plan[step_id] else None

    @property
    def models(self) -> list[str]:
        """Models with results, in the suite's order."""
        there = set(self.board.results["model"])
        return [name for name in self.board.suite["models"] if name in there]

    def seeds(self, model: str) -> list[int]:
        """Seeds with results of a model.

        Raises
        ------
        UsageError
            If there is no such model.
        """
        if model not in self.models:
            msg = f"{self.folder} has no model {model!r}; {nearest(model, self.models)}"
            raise UsageError(msg)
        table = self.board.results
        return sorted({int(seed) for seed in table.loc[table["model"] == model, "seed"].dropna()})

    def record(self, step_id: str) -> Record:
        """Give the record of a step, all of whose files are there (`lrbench.store.view`).

        Raises
        ------
        UsageError
            If it is not there, damaged, or of an earlier form of the suite.
        """
        if self.published:
            msg = f"{self.folder} is a published board, which keeps no steps"
            raise UsageError(msg)
        record = self.view.record(step_id)
        damaged = None if record is None else self.view.damaged(record)
        if record is None or damaged is not None:
            damaged = "step.json" if record is None and self.view.has_damaged_record(step_id) else damaged
            what = "is not there" if damaged is None else f"is damaged ({damaged})"
            msg = f"the step {step_id} of {self.folder} {what}; run its suite again"
            raise UsageError(msg)
        if record.key != self.plan.get(step_id):
            msg = f"the step {step_id} of {self.folder} is of an earlier form of its suite; run its suite again"
            raise UsageError(msg)
        return record

    def wrong(self, model: str, seed: int) -> dict[Key, np.ndarray]:
        """Which images a model got wrong, (N,) bool, without an attack, under each, and in the worst case over all.

        Raises
        ------
        UsageError
            If a step's outcomes are missing or damaged, or the board was published without them.
        """
        if self.published:
            return self._kept(model, seed)
        suite = self.board.suite
        found = {}
        table = self.board.results
        mine = table[(table["model"] == model) & (table["seed"] == seed) & (table["metric"] == "misclassification")]
        for label, eps, n in mine[["attack", "eps", "n"]].itertuples(index=False):
            key = (str(label), float(eps))
            if key == CLEAN:
                found[key] = self._misclassified(f"accuracy/{model_path(model, seed)}")[: int(n)]
            elif label == WORST:
                found[key] = self.load(f"worst/{model_path(model, seed)}")[fooled_by(float(eps))] > -2
            elif attack_id(model, seed, str(label), None) in self.plan:
                sizes = self.load(attack_id(model, seed, str(label), None))[suite["threat_model"]["norm"]]
                found[key] = sizes <= float(eps)
            else:
                found[key] = self._misclassified(attack_id(model, seed, str(label), float(eps)))
        return found

    def _record_of(self, model: str) -> Content:
        if model not in self.published:
            msg = f"{self.folder} has no record of {model!r}; {nearest(model, self.published)}"
            raise UsageError(msg)
        return self.published[model]

    def _kept(self, model: str, seed: int) -> dict[Key, np.ndarray]:
        kept = self._record_of(model).get("outcomes")
        if kept is None:
            msg = (
                f"{self.folder} was published without the outcome of each image, so that nothing can be compared "
                "with it; run its suite.yaml, and publish that"
            )
            raise UsageError(msg)
        # Of a run that was not whole nothing may have been measured of a seed.
        return unpacked(kept[str(seed)]) if str(seed) in kept else {}

    def _misclassified(self, step_id: str) -> np.ndarray:
        outcomes = self.load(step_id)
        return np.asarray(outcomes["predicted"] != outcomes["label"])

    def load(self, step_id: str, name: str = "outcomes.safetensors") -> dict[str, Any]:
        """Read the arrays that a step kept, held against their checksum.

        Raises
        ------
        UsageError
            If they are missing or damaged.
        """
        content = self.store.file(self.record(step_id), name)
        try:
            return dict(load(content or b""))
        except SafetensorError as error:
            msg = f"the step {step_id} of {self.folder} has no {name} that is as it was written; run its suite again"
            raise UsageError(msg) from error
