"""What a run's folder says of itself beside its steps: the suite, the plan, the environments, the tables."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from lrbench.catalogue import ATTACKS
from lrbench.leaderboard import Leaderboard, tidy
from lrbench.leaderboard.left import PLAN
from lrbench.leaderboard.render import to_markdown
from lrbench.leaderboard.said import Said
from lrbench.leaderboard.status import Environment, Status
from lrbench.names import whole_of
from lrbench.runner.step import Step
from lrbench.runner.threat import is_weak, kind_of
from lrbench.store import Record, Store, taken_under
from lrbench.suite import Suite

Finished = list[tuple[Step, Record]]


@dataclass(frozen=True)
class Tables:
    """Writes what is true of the steps that are done; takes none of them.

    Attributes
    ----------
    suite : Suite
        As it is run.
    dataset : str
        Its data's name, for the rows.
    plan : list of Step
        All steps.
    store : Store
        The run's folder.
    """

    suite: Suite
    dataset: str
    plan: list[Step]
    store: Store

    def finished(self) -> Finished:
        """Give the steps whose records are there, of this plan, and whole."""
        view = self.store.view()
        records = [(step, view.record(step.id)) for step in self.plan]
        return [
            (step, record)
            for step, record in records
            if record is not None and record.key == step.key and view.damaged(record) is None
        ]

    def environments(self, done: Finished) -> list[Environment]:
        """Give what the finished steps were taken under, each once, the commonest first."""
        return taken_under(self.store, (record for _, record in done))

    def begin(self, here: Environment | None) -> None:
        """Write the suite as it is now, which steps it takes (the folder may hold more), and where they are taken.

        Parameters
        ----------
        here : dict or None
            The environment of the steps that are about to be taken; None if there are none.
        """
        keys = {step.id: step.key for step in self.plan}
        tables, same = (self.store.root / "results.csv").exists(), self._planned() == keys
        # First, so that whoever is cut off after it leaves a run that is not whole, and no whole one of another suite.
        self.store.write(PLAN, json.dumps(keys, indent=1) + "\n")
        self.store.write("suite.yaml", self._text)
        done = self.finished()
        if here is not None:
            self._write_environments(self.environments(done) or [here])
        # Beside tables it says how many steps they are made of: those of another plan of none of this one's.
        if not (tables and same):
            self.store.write("status.json", self._status(0 if tables else self._count(done), done).write())

    def write(self, failed: dict[str, str]) -> Leaderboard:
        """Write the tables of what is done, and give the leaderboard.

        Parameters
        ----------
        failed : dict
            Step id -> why it is missing.
        """
        done = self.finished()
        environments = self.environments(done)
        if environments:
            self._write_environments(environments)
        rows, masking = self._rows(done), self._masking(done)
        status = self._status(self._count(done), done)
        board = Leaderboard(tidy(rows), self.suite.model_dump(mode="json"), masking, failed, status)
        self._write_or_remove("failures.json", json.dumps(failed, indent=1) + "\n" if failed else "")
        if rows:
            self.store.write("results.csv", board.results_csv())
            self._write_or_remove("masking.json", json.dumps(masking, indent=1) + "\n" if masking else "")
            self._write_or_remove("timings.csv", board.timings_csv())
            self.store.write("leaderboard.csv", board.to_csv())
            self.store.write("leaderboard.json", board.to_json())
            self.store.write("leaderboard.md", to_markdown(board))
            # Last, so that no table that is older says that it is whole.
            self.store.write("status.json", status.write())
        return board

    @cached_property
    def _text(self) -> str:
        return yaml.safe_dump(self.suite.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def _status(self, count: int, done: Finished) -> Status:
        suite = hashlib.sha256(self._text.encode()).hexdigest()
        return Status(count, len(self.plan), self.environments(done), suite=suite, attacks=self._attacks)

    @cached_property
    def _attacks(self) -> dict[str, Said]:
        """What the suite's attacks say of themselves: whoever shows the run may not have them."""
        factories = {attack.name: ATTACKS[attack.name].load() for attack in self.suite.attacks}
        return {name: {"weak": is_weak(each), "noise": kind_of(each) == "noise"} for name, each in factories.items()}

    def _count(self, done: Finished) -> int:
        """Count the steps that need not be taken any more: a part of a finished whole is one of them."""
        finished = {step.id for step, _ in done}
        return sum(step.id in finished or (step.kind == "part" and whole_of(step.id) in finished) for step in self.plan)

    def _planned(self) -> object:
        """Give the plan that the folder's tables were made by; None if it says none."""
        try:
            return json.loads((self.store.root / PLAN).read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def _write_or_remove(self, name: str, content: str) -> None:
        if content:
            self.store.write(name, content)
        else:
            self.store.remove(name)

    def _write_environments(self, taken: list[Environment]) -> None:
        """Write what most of the finished steps were taken under, and what else there was."""
        content = taken[0] | ({"others": taken[1:]} if taken[1:] else {})
        self.store.write("environment.json", json.dumps(content, indent=2) + "\n")

    def _rows(self, done: Finished) -> list[dict[str, Any]]:
        return [
            {"suite": self.suite.name, "model": step.model, "seed": step.seed, "dataset": self.dataset, **row}
            for step, record in done
            for row in record.rows
        ]

    def _masking(self, done: Finished) -> dict[str, dict[str, Any]]:
        masking: dict[str, dict[str, Any]] = {}
        for step, _ in done:
            if step.kind == "masking":
                content = (self.store.folder(step.id) / "masking.json").read_text("utf-8")
                masking.setdefault(step.model, {})[str(step.seed)] = json.loads(content)
        return masking
