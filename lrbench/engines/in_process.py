"""Tasks in the process that asks for them: one after the other, in the order given."""

from collections.abc import Callable, Sequence
from functools import partial

from lrbench.engines.base import Task, Watch, Worker


class InProcess:
    """Takes tasks in the order given, which is one in which each comes after those it needs."""

    def run(self, tasks: Sequence[Task], open_worker: Callable[[], Worker], watch: Watch) -> None:
        """Run all tasks.

        Raises
        ------
        LrbenchError
            If the worker raises it.
        KeyboardInterrupt
            If somebody asked to stop.
        """
        worker = open_worker()
        failed: set[str] = set()
        for task in tasks:
            missing = next((needed for needed in task.needs if needed in failed), None)
            if missing is not None:
                failed.add(task.id)
                watch.skipped(task.id, missing)
                continue
            if watch.stopping():
                raise KeyboardInterrupt
            watch.started(task.id)
            done = worker.take(task.id, partial(watch.progress, task.id), watch.stopping)
            if done.reason is not None:
                failed.add(task.id)
            watch.finished(done)
