"""Which task comes next: the longest chain of waiting work first (critical-path list scheduling; Graham, 1969)."""

import heapq
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Sequence

from lrbench.engines.base import Done, Task, Watch


class Schedule:
    """What is ready, what waits, and what cannot be taken any more.

    Parameters
    ----------
    tasks : sequence of Task
        What they need and is not among them counts as done.
    in_order : bool
        Whether ready tasks come in the order given: for a single worker, which gains nothing from another.
    """

    def __init__(self, tasks: Sequence[Task], *, in_order: bool = False) -> None:
        self._in_order = in_order
        self._order = {task.id: index for index, task in enumerate(tasks)}
        self._tasks = {task.id: task for task in tasks}
        self._waits = {task.id: sum(needed in self._tasks for needed in task.needs) for task in tasks}
        self._after: dict[str, list[str]] = defaultdict(list)
        for task in tasks:
            for needed in task.needs:
                self._after[needed].append(task.id)
        self._length = self._chains()
        self._ready: list[tuple[float, int, str]] = []
        for task in tasks:
            if not self._waits[task.id]:
                self._push(task.id)
        self._open = set(self._tasks)

    def _chains(self) -> dict[str, float]:
        """Cost of the longest chain that begins with each task."""
        length: dict[str, float] = {}
        for root in self._tasks:
            stack = [root]
            while stack:
                current = stack[-1]
                waiting = [task for task in self._after[current] if task not in length]
                if waiting:
                    stack += waiting
                    continue
                stack.pop()
                longest = max((length[task] for task in self._after[current]), default=0.0)
                length[current] = self._tasks[current].cost + longest
        return length

    def _push(self, task: str) -> None:
        length = 0.0 if self._in_order else self._length[task]
        insort(self._ready, (-length, self._order[task], task))

    @property
    def empty(self) -> bool:
        """Whether every task has ended or was skipped."""
        return not self._open

    def next(self, suits: Callable[[Task], bool] = lambda _: True) -> Task | None:
        """Take the ready task with the longest chain behind it, or the first, of those that suit; None if none does."""
        for index, (_, _, name) in enumerate(self._ready):
            if suits(self._tasks[name]):
                del self._ready[index]
                return self._tasks[name]
        return None

    def again(self, task: str) -> None:
        """Put a task back that was taken and lost."""
        self._push(task)

    def finish(self, task: str) -> None:
        """Count a task as done."""
        self._open.discard(task)
        for later in self._after[task]:
            self._waits[later] -= 1
            if not self._waits[later] and later in self._open:
                self._push(later)

    def fail(self, task: str) -> list[tuple[str, str]]:
        """Count a task as failed; give what cannot be taken any more, each with the task that it needs."""
        self._open.discard(task)
        lost: list[tuple[str, str]] = []
        failed = [task]
        while failed:
            needed = failed.pop()
            for later in self._after[needed]:
                if later in self._open:
                    self._open.discard(later)
                    lost.append((later, needed))
                    failed.append(later)
        return lost

    def settle(self, done: Done, watch: Watch) -> None:
        """Count a task as what it ended as, and report it and what is lost with it."""
        watch.finished(done)
        if done.reason is None:
            self.finish(done.id)
            return
        for task, needed in self.fail(done.id):
            watch.skipped(task, needed)

    @property
    def longest_chain(self) -> float:
        """Cost of the longest chain."""
        return max(self._length.values(), default=0.0)


def simulate(tasks: Sequence[Task], workers: int) -> float:
    """Seconds that tasks would take on so many workers, each task as long as its cost says."""
    schedule = Schedule(tasks)
    now = 0.0
    running: list[tuple[float, str]] = []
    while not schedule.empty:
        while len(running) < workers and (task := schedule.next()) is not None:
            heapq.heappush(running, (now + task.cost, task.id))
        now, ended = heapq.heappop(running)
        schedule.finish(ended)
    return now


def lower_bound(tasks: Sequence[Task], workers: int) -> float:
    """Seconds below which no schedule on so many workers can come: all work shared evenly, or the longest chain."""
    return max(sum(task.cost for task in tasks) / workers, Schedule(tasks).longest_chain)
