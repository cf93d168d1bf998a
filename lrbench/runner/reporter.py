"""What a run tells its watcher, and what the rest will cost."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

from lrbench.engines import Task
from lrbench.runner.step import Step


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


ALL: tuple[str, ...] = ()
"""All steps: what counts where nothing closer is known."""


class Costs:
    """Seconds a unit of work, learnt from finished steps: of each attack, and of each kind of step.

    Parameters
    ----------
    before : callable
        Seconds a unit of work of a model, where no step of the kind has finished; where that is None, what a unit of
        other steps took counts.
    """

    def __init__(self, before: Callable[[str], float | None] = lambda _: None) -> None:
        self._before = before
        self._seconds: dict[tuple[str, ...], float] = defaultdict(float)
        self._work: dict[tuple[str, ...], float] = defaultdict(float)

    def learn(self, step: Step, seconds: float) -> None:
        """Count a finished step; one that took no time had nothing to do."""
        if not seconds:
            return
        # What takes no pass of a model, such as loading it, says nothing of what others take.
        for group in [*_groups(step), *([ALL] if step.work > 1 else [])]:
            self._seconds[group] += seconds
            self._work[group] += step.work

    def estimate(self, steps: Iterable[Step]) -> float | None:
        """Seconds that steps will take; None if nothing is known of one of them."""
        total = 0.0
        for step in steps:
            rate = self._rate(step)
            if rate is None:
                return None
            total += step.work * rate
        return total

    def _rate(self, step: Step) -> float | None:
        known = next((group for group in _groups(step) if group in self._work), None)
        before = self._before(step.model) if known is None else None
        if known is None and before is None and ALL in self._work:
            known = ALL
        return before if known is None else self._seconds[known] / self._work[known]

    def tasks(self, steps: Iterable[Step]) -> list[Task]:
        """Give steps as an engine sees them; costs are in seconds, or in units of work where nothing is known."""
        found = []
        for step in steps:
            known = self.estimate([step])
            found.append(Task(step.id, step.needs, step.work if known is None else known))
        return found


def _groups(step: Step) -> list[tuple[str, ...]]:
    """Give the groups of steps that cost alike, the closest first."""
    own = [(step.kind, *step.labels)] if step.labels else []
    return [*own, (step.kind,)]
