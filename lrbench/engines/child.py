"""A process that takes tasks for this one, one at a time; whatever a task does to it, this one continues."""

import os
import pickle
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

from lrbench.child_processes import process_context, without_main
from lrbench.engines.base import Done, Task, Worker
from lrbench.engines.death import Died, how_it_ended
from lrbench.engines.inside import NUMBER, Begun, begin
from lrbench.errors import LrbenchError

JOIN_SECONDS = 5.0
DUMP_SECONDS = 0.5
"""So long a process that is about to be ended may take to say where it is."""

DUMP_BYTES = 1 << 16


class Child:
    """A process, and the task that it has.

    Parameters
    ----------
    opener : bytes
        A pickled callable that makes the worker. It is unpickled there and not here, since it may load much.
    timeout : float, optional
        Seconds that a task may take. Default: as long as it likes.
    number : int
        Which it is of those that work at the same time.
    """

    def __init__(self, opener: bytes, timeout: float | None = None, number: int = 0) -> None:
        context = process_context()
        self.timeout, self.number, self.task = timeout, number, ""
        self.used = False
        """Whether it has taken a task to its end."""
        self._external: frozenset[str] = frozenset()
        self._open, self._started, self._stopped = False, 0.0, False
        self.connection, there = context.Pipe()
        self._dump, dump = context.Pipe(duplex=False)
        begun = Begun(opener, there, dump, dict(os.environ) | {NUMBER: str(number)})
        self.process: Any = context.Process(target=begin, args=(begun,))  # type: ignore[attr-defined]
        # A script that begins a run without a guard would begin it again there.
        with without_main():
            self.process.start()
        # Of this end alone, so that it shows when the process is gone.
        there.close()
        dump.close()

    def suits(self, task: Task) -> bool:
        """Whether the process has run no code of others but what the task runs itself."""
        return self._external <= task.external

    def give(self, task: Task) -> None:
        """Hand over the next task."""
        self.task, self._started = task.id, time.monotonic()
        self._external |= task.external
        self._send(task.id)

    def stop(self) -> None:
        """Ask it to end after the current batch; once is enough."""
        if not self._stopped:
            self._stopped = True
            self._send(None)

    @property
    def waitables(self) -> list[Any]:
        """What is ready when there is something to hear."""
        return [self.connection, self.process.sentinel]

    @property
    def left(self) -> float | None:
        """Seconds until its task takes too long; None where it may take as long as it likes.

        What it takes to begin the process does not count.
        """
        return None if self.timeout is None or not self._open else self._started + self.timeout - time.monotonic()

    def hear(self, progress: Callable[[str, float, str], None]) -> Done | Died | None:
        """Hear what it has said; give what became of its task, None while it runs.

        Raises
        ------
        LrbenchError
            If the worker raised it, or the process ended before it could take a task.
        KeyboardInterrupt
            If it has stopped.
        """
        # Before the words are read: what a process said before it ended is there then.
        ended = not self.process.is_alive()
        try:
            while self.connection.poll():
                kind, content = self.connection.recv()
                if kind == "progress":
                    progress(self.task, *content)
                elif kind == "open":
                    self._open, self._started = True, time.monotonic()
                elif kind == "done":
                    self.used = True
                    return content  # type: ignore[no-any-return]
                else:
                    _raise(kind, content)
        except (EOFError, OSError):
            ended = True
        if ended:
            return self._died()
        if self.left is not None and self.left <= 0:
            return self._overdue()
        return None

    def end(self) -> None:
        """End the process, whatever it is at."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        self._dump.close()

    def _send(self, what: str | None) -> None:
        # Where it is gone, the next look at it says so.
        try:
            self.connection.send(what)
        except OSError:
            return

    def _died(self) -> Died:
        self.process.join(JOIN_SECONDS)
        how, outside = how_it_ended(self.process.exitcode)
        if not self._open and not outside:
            msg = f"a process that takes steps {how} before it could take one; what it said of it stands above"
            raise LrbenchError(msg)
        return Died(self.task, how, outside or self.used, time.monotonic() - self._started, self._said())

    def _overdue(self) -> Died:
        if hasattr(signal, "SIGUSR1"):
            os.kill(self.process.pid, signal.SIGUSR1)
            wait([self._dump, self.process.sentinel], DUMP_SECONDS)
        how = f"took longer than --step-timeout {self.timeout:g} s and was ended"
        return Died(self.task, how, again=False, seconds=time.monotonic() - self._started, details=self._said())

    def _said(self) -> str:
        """Read what faulthandler has written; there is nothing if it was killed."""
        said = b""
        while self._dump.poll(DUMP_SECONDS / 5):
            found = os.read(self._dump.fileno(), DUMP_BYTES)
            if not found:
                break
            said += found
        return said.decode(errors="replace")


def pickled(open_worker: Callable[[], Worker]) -> bytes:
    """Give what makes a worker as `Child` takes it."""
    return pickle.dumps(open_worker)


def _raise(kind: str, content: Any) -> None:  # noqa: ANN401
    if kind == "stopped":
        raise KeyboardInterrupt
    if kind == "error":
        raise content
    # A defect of the program: its traceback is all there is to know.
    raise RuntimeError(content)
