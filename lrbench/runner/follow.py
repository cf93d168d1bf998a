"""Following the steps of a run, wherever an engine takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lrbench.engines import Done, Task
from lrbench.runner.interrupt import Interrupt
from lrbench.runner.reporter import Costs, Reporter
from lrbench.runner.step import Step
from lrbench.store import Store


@dataclass(frozen=True)
class Follower:
    """Tells a run's watcher of its steps, learns what they cost, and keeps which of them failed.

    Attributes
    ----------
    external : mapping
        Step -> code of others that it runs.
    store : Store
        Keeps what failed steps say; raises StoreError if the run's place was lost to another process.
    failed : dict
        Step -> what went wrong.
    """

    plan: list[Step]
    pending: list[Step]
    reporter: Reporter
    costs: Costs
    interrupt: Interrupt
    external: Mapping[str, frozenset[str]]
    store: Store
    workers: int = 1
    failed: dict[str, str] = field(default_factory=dict)
    _skipped: set[str] = field(default_factory=set)
    _left: dict[str, Step] = field(default_factory=dict)

    def tasks(self) -> list[Task]:
        """Give the pending steps as an engine sees them, and begin."""
        self._left.update({step.id: step for step in self.pending})
        self.reporter.begin(len(self.plan), len(self.plan) - len(self.pending))
        return [replace(task, external=self.external[task.id]) for task in self.costs.tasks(self.pending)]

    def started(self, task: str) -> None:
        """Take note that a step begins."""
        self.reporter.start(self._left[task])

    def progress(self, task: str, fraction: float, note: str) -> None:
        """Take note of how far a step is."""
        if task in self._left:
            self.reporter.progress(self._left[task], fraction, note)

    def finished(self, done: Done) -> None:
        """Take note that a step has ended."""
        step = self._left.pop(done.id)
        if done.reason is not None:
            self.failed[done.id] = done.reason
            self.reporter.drop(step)
        else:
            self.costs.learn(step, done.seconds)
            left = self.costs.estimate(self._left.values())
            self.reporter.finish(step, done.seconds, None if left is None else left / self.workers)
        for note in done.notes:
            self.reporter.note(note)
        if done.reason is not None:
            self.store.save_failure(done.id, done.details or done.reason)
            self.reporter.note(f"{done.id} failed: {done.reason}")

    def skipped(self, task: str, needed: str) -> None:  # noqa: ARG002
        """Take note that a step cannot be taken."""
        self._left.pop(task, None)
        self._skipped.add(task)

    @property
    def missing(self) -> dict[str, str]:
        """Steps that are missing, in the plan's order: what went wrong, or which missing step each needed."""
        found: dict[str, str] = {}
        for step in self.plan:
            if step.id in self.failed:
                found[step.id] = self.failed[step.id]
            elif step.id in self._skipped:
                needed = next(needed for needed in step.needs if needed in found)
                found[step.id] = f"needs {needed}, which failed"
        return found

    def note(self, text: str) -> None:
        """Pass a line on."""
        self.reporter.note(text)

    def stopping(self) -> bool:
        """Whether somebody asked to stop.

        Raises
        ------
        StoreError
            If the run's place was lost to another process.
        """
        self.store.check_held()
        return self.interrupt.asked
