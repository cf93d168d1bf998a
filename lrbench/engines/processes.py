"""Processes of this machine, each with a share of its cores."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from multiprocessing.connection import wait

from lrbench.engines.base import Task, Watch, Worker
from lrbench.engines.child import Child, pickled
from lrbench.engines.death import Died, Tries
from lrbench.engines.schedule import Schedule

POLL_SECONDS = 0.05


class Processes:
    """Takes tasks in processes of their own: in one in the order given, else the longest chain of waiting work first.

    Parameters
    ----------
    jobs : int
        Processes, each of which has one task at a time.
    timeout : float, optional
        Seconds that a task may take. Default: as long as it likes.
    """

    def __init__(self, jobs: int, timeout: float | None = None) -> None:
        self.jobs, self.timeout = jobs, timeout

    def run(self, tasks: Sequence[Task], open_worker: Callable[[], Worker], watch: Watch) -> None:
        """Run all tasks.

        One that ends its process has failed, as has one that takes too long; one whose process is ended from outside
        (out of memory, killed) is tried again.

        Raises
        ------
        LrbenchError
            If a worker raises it, or a process ends before it can take a task.
        KeyboardInterrupt
            If somebody asked to stop.
        """
        with ExitStack() as ended:
            schedule = Schedule(tasks, in_order=self.jobs == 1)
            _Run(schedule, watch, _Pool(pickled(open_worker), self.jobs, self.timeout, ended)).work()


class _Pool:
    """Processes that wait for a task, and how more of them are begun."""

    def __init__(self, opener: bytes, jobs: int, timeout: float | None, ended: ExitStack) -> None:
        self.opener, self.jobs, self.timeout, self._ended = opener, jobs, timeout, ended
        self.idle: list[Child] = []
        self._begun: dict[int, Child] = {}

    def child(self, task: Task, *, fresh: bool) -> Child:
        """Give one that waits and may take the task, or a new one."""
        suited = next((each for each in self.idle if each.suits(task)), None)
        if suited is not None and not fresh:
            self.idle.remove(suited)
            return suited
        while self.idle:
            self.idle.pop().end()
        number = next(n for n in count() if n not in self._begun or not self._begun[n].process.is_alive())
        child = self._begun[number] = Child(self.opener, self.timeout, number)
        self._ended.callback(child.end)
        return child


class _Run:
    """From the first task to the last."""

    def __init__(self, schedule: Schedule, watch: Watch, pool: _Pool) -> None:
        self.schedule, self.watch, self.pool = schedule, watch, pool
        self.busy: list[Child] = []
        self.tries = Tries()
        self.stopping = False

    def work(self) -> None:
        """Work until nothing is left."""
        while True:
            self._hand_out()
            if not self.busy:
                break
            wait([each for child in self.busy for each in child.waitables], self._patience())
            self._heed()
            for child in list(self.busy):
                self._look_at(child)
        if self.stopping:
            raise KeyboardInterrupt

    def _hand_out(self) -> None:
        while not self.stopping and len(self.busy) < self.pool.jobs and (task := self._next()) is not None:
            child = self.pool.child(task, fresh=task.id in self.tries)
            child.give(task)
            self.busy.append(child)
            self.watch.started(task.id)

    def _next(self) -> Task | None:
        """Give a task that a waiting process may take, if there is one: another would need a process begun for it."""
        idle = self.pool.idle
        suited = self.schedule.next(lambda task: any(child.suits(task) for child in idle)) if idle else None
        return suited or self.schedule.next()

    def _patience(self) -> float:
        left = [child.left for child in self.busy if child.left is not None]
        return max(0.0, min([POLL_SECONDS, *left]))

    def _heed(self) -> None:
        """Let every process end its batch once somebody has asked to stop."""
        if self.stopping or not self.watch.stopping():
            return
        self.stopping = True
        for child in self.busy:
            child.stop()

    def _look_at(self, child: Child) -> None:
        try:
            outcome = child.hear(self.watch.progress)
        except KeyboardInterrupt:
            if not self.stopping:
                raise
            self.busy.remove(child)
            return
        if outcome is None:
            return
        self.busy.remove(child)
        if isinstance(outcome, Died):
            child.end()
            self._heed()
            # Whoever ended it asked this process to stop as well: a signal to all of a group.
            if self.stopping and outcome.again:
                return
        else:
            self.pool.idle.append(child)
        self.tries.settle(outcome, self.schedule, self.watch)
