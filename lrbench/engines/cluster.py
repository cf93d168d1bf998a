"""A Ray cluster: the processes of one machine, or of many."""

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from lrbench.engines.base import Done, Task, Watch, Worker
from lrbench.engines.child import Child, pickled
from lrbench.engines.death import Died, Tries
from lrbench.engines.schedule import Schedule
from lrbench.errors import LrbenchError, UsageError, short

POLL_SECONDS = 0.2
AHEAD = 2
"""Tasks handed over for each slot that the cluster has, so that none waits for the next word from here."""

LOST = ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "LocalRayletDiedError")
"""What Ray raises for a task whose process or machine is gone."""


@dataclass(frozen=True)
class Resources:
    """What Ray keeps free for each task: cores, and GPUs or parts of one."""

    cpus: float = 1.0
    gpus: float = 0.0


class Cluster:
    """Takes tasks as Ray tasks, the longest chain of waiting work first.

    Ray's process hands each task on to a process of its own, as on one machine: so what a task does to that is known,
    and costs no other task anything.

    Parameters
    ----------
    address : str, optional
        Of a running cluster: "auto", "HOST:PORT", "ray://HOST:PORT". Default: one that is started here and ends with
        the run.
    resources : Resources
        Of each task.
    jobs : int, optional
        Places of a cluster that is started here. Default: one for each of its cores.
    timeout : float, optional
        Seconds that a task may take. Default: as long as it likes.

    Raises
    ------
    UsageError
        If Ray is not installed.
    """

    def __init__(
        self,
        address: str | None = None,
        resources: Resources | None = None,
        jobs: int | None = None,
        timeout: float | None = None,
    ) -> None:
        try:
            self.ray: Any = importlib.import_module("ray")
        except ImportError:
            msg = "ray is not installed; install it with `pip install 'lrbench[ray]'`"
            raise UsageError(msg) from None
        self.address, self.resources, self.jobs, self.timeout = address, resources or Resources(), jobs, timeout

    def run(self, tasks: Sequence[Task], open_worker: Callable[[], Worker], watch: Watch) -> None:
        """Run all tasks.

        One that ends its process has failed, as has one that takes too long; one whose process or machine is lost is
        tried again.

        Raises
        ------
        LrbenchError
            If a worker raises it, or the cluster cannot be reached.
        KeyboardInterrupt
            If somebody asked to stop.
        """
        own = not self.ray.is_initialized()
        if own:
            self._begin()
        try:
            self._run(Schedule(tasks), self.ray.put(pickled(open_worker)), watch)
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
        # Tried again from here, where what ended a task's process counts as well.
        take = self.ray.remote(**needs, max_retries=0)(_take)
        slots = max(1, int(self.ray.cluster_resources().get("CPU", 1) / max(self.resources.cpus, 1e-3)))
        running: dict[Any, str] = {}
        tries = Tries()
        try:
            while True:
                while len(running) < AHEAD * slots and (task := schedule.next()) is not None:
                    # In a list Ray hands on the reference: not every task needs what is behind it.
                    running[take.remote([opener], task, self.timeout, task.id in tries)] = task.id
                    watch.started(task.id)
                if not running:
                    return
                ended, _ = self.ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
                if watch.stopping():
                    raise KeyboardInterrupt
                for reference in ended:
                    tries.settle(self._result(reference, running.pop(reference)), schedule, watch)
        except BaseException:
            self._end(list(running))
            raise

    def _end(self, running: list[Any]) -> None:
        left = running
        try:
            if running:
                # Ray ends this process where a task ends as it is cancelled (ray#54798), so what is about to end may.
                _, left = self.ray.wait(running, num_returns=len(running), timeout=POLL_SECONDS)
        finally:
            for reference in left:
                # Raises KeyboardInterrupt in the task, which ends without a result.
                self.ray.cancel(reference, recursive=True)

    def _result(self, reference: Any, task: str) -> Done | Died:  # noqa: ANN401
        try:
            done: Done | Died = self.ray.get(reference)
            return done
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, LrbenchError) else LrbenchError(f"{task}: {short(error)}")) from None
        except self.ray.exceptions.RayError as error:
            if type(error).__name__ in LOST:
                return Died(task, "was lost with its place on the cluster", again=True)
            msg = f"{task} was lost: {short(error)}"
            raise LrbenchError(msg) from error


# Of each process of the cluster, which takes many tasks: one for tasks without code of others, and one for others.
_children: dict[tuple[str, str | None, bool], Child] = {}


def _take(opener: list[Any], task: Task, timeout: float | None, fresh: bool) -> Done | Died:
    child = _child(opener[0], task, timeout, fresh=fresh)
    try:
        child.give(task)
        while (outcome := child.hear(lambda _task, _fraction, _note: None)) is None:
            # Short, since Ray's KeyboardInterrupt does not end a wait.
            wait(child.waitables, POLL_SECONDS)
    except BaseException:
        _end(child)
        raise
    if isinstance(outcome, Died):
        _end(child)
    return outcome


def _child(opener: Any, task: Task, timeout: float | None, *, fresh: bool) -> Child:  # noqa: ANN401
    # By its run, and by the GPUs that Ray lets it see.
    here = (opener.hex(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    wanted = (*here, bool(task.external))
    if fresh or wanted not in _children or not _children[wanted].suits(task):
        for key, other in list(_children.items()):
            if fresh or key == wanted or key[:2] != here:
                _end(other)
        _children[wanted] = Child(importlib.import_module("ray").get(opener), timeout)
    return _children[wanted]


def _end(child: Child) -> None:
    child.end()
    for key in [each for each, other in _children.items() if other is child]:
        del _children[key]
