"""Several processes of this machine, each with a share of its cores."""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from lrbench.engines.base import Done, Task, Watch, Worker
from lrbench.engines.schedule import Schedule
from lrbench.errors import LrbenchError
from lrbench.starting import begin_as_child, process_context

POLL_SECONDS = 0.05
AHEAD = 1
"""Tasks handed over beyond one for each process, so that none waits for the next word from here."""

JOIN_SECONDS = 5.0

ATTEMPTS = 3
"""Times a task is tried whose process died."""


class Processes:
    """Takes tasks in processes of their own, the longest chain of waiting work first.

    Parameters
    ----------
    jobs : int
        Processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def run(self, tasks: Sequence[Task], open_worker: Callable[[], Worker], watch: Watch) -> None:
        """Run all tasks; one whose process dies (out of memory, killed) is tried again.

        Raises
        ------
        LrbenchError
            If a worker raises it, or a task's process dies again and again.
        KeyboardInterrupt
            If somebody asked to stop.
        """
        schedule = Schedule(tasks)
        tries: dict[str, int] = {}
        context = process_context()
        while not schedule.empty:
            # Written to without a thread in between: what a process said before it was killed is there.
            told, stop = context.SimpleQueue(), context.Event()
            pool = ProcessPoolExecutor(self.jobs, context, _begin, (open_worker, told, stop, dict(os.environ)))
            try:
                died, waited = _Round(pool, schedule, watch, told, stop, self.jobs).work()
            except BaseException:
                _end_at_once(pool)
                raise
            pool.shutdown()
            for task in waited:
                schedule.again(task)
            for task in died:
                tries[task] = tries.get(task, 0) + 1
                if tries[task] >= ATTEMPTS:
                    msg = f"{task}: its process died {ATTEMPTS} times (out of memory?); fewer --jobs need less"
                    raise LrbenchError(msg)
                watch.note(f"a process died; again: {task}")
                schedule.again(task)


class _Round:
    """From the start of a pool to its end, or to the death of one of its processes."""

    def __init__(
        self,
        pool: ProcessPoolExecutor,
        schedule: Schedule,
        watch: Watch,
        told: Any,  # noqa: ANN401 - what multiprocessing's contexts make has no common type
        stop: Any,  # noqa: ANN401
        jobs: int,
    ) -> None:
        self.pool, self.schedule, self.watch, self.told, self.stop, self.jobs = pool, schedule, watch, told, stop, jobs
        self.running: dict[Future[Done], str] = {}
        self.processes: dict[int, Any] = {}
        self.last: dict[int, str] = {}
        """Process -> the task that it began last."""

    def work(self) -> tuple[list[str], list[str]]:
        """Work until nothing is left; give the tasks whose process died, and those that were lost with them."""
        while True:
            self._submit()
            if not self.running:
                return [], []
            ended, _ = wait(self.running, POLL_SECONDS, FIRST_COMPLETED)
            self._listen()
            if self.watch.stopping():
                self._stop()
            try:
                for future in ended:
                    done = future.result()
                    del self.running[future]
                    self.schedule.settle(done, self.watch)
            except BrokenProcessPool:
                return self._lost()

    def _lost(self) -> tuple[list[str], list[str]]:
        self._listen()
        lost = [*self.running.values()]
        # The pool ends the others itself when one has died.
        own = {
            task for process, task in self.last.items() if self._exit_code(process) not in {None, 0, -signal.SIGTERM}
        }
        died = [task for task in lost if task in own]
        # Where none is found, one died before it could say what it began.
        return (died, [task for task in lost if task not in own]) if died else (lost, [])

    def _exit_code(self, process: int) -> int | None:
        found = self.processes.get(process)
        if found is None:
            return None
        found.join(JOIN_SECONDS)
        code: int | None = found.exitcode
        return code

    def _submit(self) -> None:
        while len(self.running) < self.jobs + AHEAD and (task := self.schedule.next()) is not None:
            try:
                self.running[self.pool.submit(_take, task)] = task
                self.processes.update(getattr(self.pool, "_processes", None) or {})
                self.watch.started(task)
            except BrokenProcessPool:
                self.schedule.again(task)
                return

    def _listen(self) -> None:
        while not self.told.empty():
            process, task, fraction, note = self.told.get()
            self.last[process] = task
            if note:
                self.watch.progress(task, fraction, note)

    def _stop(self) -> None:
        """Let every process end its batch."""
        self.stop.set()
        wait(self.running)
        raise KeyboardInterrupt


def _end_at_once(pool: ProcessPoolExecutor) -> None:
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


# What a process holds from its beginning to its end.
_open: Callable[[], Worker]
_worker: Worker | None = None
_told: Any
_stopped: Any


def _begin(
    open_worker: Callable[[], Worker],
    told: Any,  # noqa: ANN401
    stop: Any,  # noqa: ANN401
    environment: dict[str, str],
) -> None:
    global _open, _told, _stopped
    begin_as_child(environment)
    # The process that began it hears Ctrl-C and says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _open, _told, _stopped = open_worker, told, stop


def _take(task: str) -> Done:
    global _worker  # noqa: PLW0603
    # Not at the beginning, from where an error would not find its way out.
    _worker = _worker or _open()
    _told.put((os.getpid(), task, 0.0, ""))
    return _worker.take(task, lambda fraction, note: _told.put((os.getpid(), task, fraction, note)), _stopped.is_set)
