"""What a run tells its watcher, and what the rest will cost."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from lrbench.runner.plan import Step


class Reporter(Protocol):
    """A watcher of a run. All methods are called from one thread, in order."""

    def begin(self, steps: int, finished: int) -> None:
        """Take note that a run of `steps` steps begins, of which `finished` are done already."""

    def start(self, step: Step) -> None:
        """Take note that a step begins."""

    def progress(self, step: Step, fraction: float, note: str) -> None:
        """Take note of how far a running step is."""

    def finish(self, step: Step, seconds: float, left: float | None) -> None:
        """Take note that a step is done; `left` is the estimate for the rest, None while there is no ground for one."""

    def drop(self, step: Step) -> None:
        """Take note that a step has ended without a result."""

    def note(self, text: str) -> None:
        """Say something that the user should know."""


class Silent:
    """Says nothing."""

    def begin(self, steps: int, finished: int) -> None:
        """Stay silent."""

    def start(self, step: Step) -> None:
        """Stay silent."""

    def progress(self, step: Step, fraction: float, note: str) -> None:
        """Stay silent."""

    def finish(self, step: Step, seconds: float, left: float | None) -> None:
        """Stay silent."""

    def drop(self, step: Step) -> None:
        """Stay silent."""

    def note(self, text: str) -> None:
        """Stay silent."""


class Costs:
    """Seconds a unit of work, by kind of step, learnt from finished steps."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._work: dict[str, float] = defaultdict(float)

    def learn(self, step: Step, seconds: float) -> None:
        """Count a finished step."""
        self._seconds[step.kind] += seconds
        self._work[step.kind] += step.work

    def estimate(self, steps: Iterable[Step]) -> float | None:
        """Seconds that steps will take; a kind that never ran is taken to cost what the others do a unit of work.

        None if nothing has finished yet.
        """
        work = sum(self._work.values())
        if not work:
            return None
        mean = sum(self._seconds.values()) / work
        rates = {kind: self._seconds[kind] / self._work[kind] for kind in self._work}
        return sum(step.work * rates.get(step.kind, mean) for step in steps)
