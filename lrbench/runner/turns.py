"""Steps that another share may take at the same time."""

from collections.abc import Callable
from dataclasses import dataclass

from lrbench.engines import Done, Worker
from lrbench.engines.base import Report
from lrbench.runner.step import Step
from lrbench.store import Store


@dataclass(frozen=True)
class InTurn:
    """Takes a step when no other share of the run is at it, and not at all if that has finished it meanwhile.

    Attributes
    ----------
    worker : Worker
        Takes it.
    steps : dict
        Id -> step.
    store : Store
        The run's folder; where all of it is held nobody else is there.
    """

    worker: Worker
    steps: dict[str, Step]
    store: Store

    def take(self, task: str, report: Report, stop: Callable[[], bool]) -> Done:
        """Take a step, as `worker`.

        Raises
        ------
        LrbenchError, KeyboardInterrupt
            As it does.
        """
        if not self.store.shared:
            return self.worker.take(task, report, stop)

        def wait() -> None:
            if stop():
                raise KeyboardInterrupt
            report(0.0, "waiting for another share, which is at it")

        with self.store.turn(task, wait):
            step, record = self.steps[task], self.store.record(task)
            finished = record is not None and record.key == step.key and record.labels == list(step.labels)
            if record is not None and finished and self.store.damaged(record) is None:
                return Done(task, record.seconds, notes=(f"{task} was taken by another share meanwhile",))
            return self.worker.take(task, report, stop)
