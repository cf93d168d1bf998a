"""A Ray cluster: the processes of one machine, or of many."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.engines.base import Done, Task, Watch, Worker
from lrbench.engines.schedule import Schedule
from lrbench.errors import LrbenchError, UsageError, short

POLL_SECONDS = 0.2
AHEAD = 2
"""Tasks handed over for each place that the cluster has, so that none waits for the next word from here."""

RETRIES = 2
"""Times that Ray tries a task again whose process died."""


@dataclass(frozen=True)
class Resources:
    """What Ray keeps free for each task: cores, and GPUs or parts of one."""

    cpus: float = 1.0
    gpus: float = 0.0


class Cluster:
    """Takes tasks as Ray tasks, the longest chain of waiting work first.

    Parameters
    ----------
    address : str, optional
        Of a running cluster: "auto", "HOST:PORT", "ray://HOST:PORT". Default: one that is started here and ends with
        the run.
    resources : Resources
        Of each task.
    jobs : int, optional
        Places of a cluster that is started here. Default: one for each of its cores.

    Raises
    ------
    UsageError
        If Ray is not installed.
    """

    def __init__(self, address: str | None = None, resources: Resources | None = None, jobs: int | None = None) -> None:
        try:
            self.ray: Any = importlib.import_module("ray")
        except ImportError:
            msg = "ray is not installed; install it with `pip install 'lrbench[ray]'`"
            raise UsageError(msg) from None
        self.address, self.resources, self.jobs = address, resources or Resources(), jobs

    def run(self, tasks: Sequence[Task], open_worker: Callable[[], Worker], watch: Watch) -> None:
        """Run all tasks; one whose process or machine is lost is tried again.

        Raises
        ------
        LrbenchError
            If a worker raises it, a task is lost again and again, or the cluster cannot be reached.
        KeyboardInterrupt
            If somebody asked to stop.
        """
        own = not self.ray.is_initialized()
        if own:
            self._begin()
        try:
            self._run(Schedule(tasks), self.ray.put(open_worker), watch)
        finally:
            if own:
                self.ray.shutdown()

    def _begin(self) -> None:
        # "local": not another cluster that happens to run on this machine.
        new = {"address": "local", "num_cpus": self.jobs}
        options: dict[str, Any] = {"address": self.address} if self.address else new
        try:
            self.ray.init(**options, log_to_driver=False, configure_logging=False, include_dashboard=False)
        # Ray raises ConnectionError, RuntimeError, ValueError and its own for a cluster that is not there.
        except Exception as error:
            msg = f"no Ray cluster at {self.address or 'this machine'}: {short(error)}"
            raise LrbenchError(msg) from error

    def _run(self, schedule: Schedule, opener: Any, watch: Watch) -> None:  # noqa: ANN401
        needs = {"num_cpus": self.resources.cpus, "num_gpus": self.resources.gpus}
        take = self.ray.remote(**needs, max_retries=RETRIES)(_take)
        places = max(1, int(self.ray.cluster_resources().get("CPU", 1) / max(self.resources.cpus, 1e-3)))
        running: dict[Any, str] = {}
        try:
            while True:
                while len(running) < AHEAD * places and (task := schedule.next()) is not None:
                    running[take.remote(opener, task)] = task
                    watch.started(task)
                if not running:
                    return
                ended, _ = self.ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
                if watch.stopping():
                    raise KeyboardInterrupt
                for reference in ended:
                    schedule.settle(self._result(reference, running.pop(reference)), watch)
        except BaseException:
            for reference in running:
                # Raises KeyboardInterrupt in the task, which ends without a result.
                self.ray.cancel(reference, recursive=True)
            raise

    def _result(self, reference: Any, task: str) -> Done:  # noqa: ANN401
        try:
            done: Done = self.ray.get(reference)
            return done
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, LrbenchError) else LrbenchError(f"{task}: {short(error)}")) from None
        except self.ray.exceptions.RayError as error:
            msg = f"{task} was lost {RETRIES + 1} times: {short(error)}"
            raise LrbenchError(msg) from error


# One for each process of the cluster, which takes many tasks.
_workers: dict[Callable[[], Worker], Worker] = {}


def _take(open_worker: Callable[[], Worker], task: str) -> Done:
    if open_worker not in _workers:
        _workers.clear()
        _workers[open_worker] = open_worker()
    return _workers[open_worker].take(task, lambda _fraction, _note: None, lambda: False)
