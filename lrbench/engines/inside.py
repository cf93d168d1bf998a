"""What a process does that takes tasks for another."""

import faulthandler
import os
import pickle
import signal
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from lrbench.child_processes import begin_as_child
from lrbench.engines.base import Done, Worker
from lrbench.engines.printed import Printed
from lrbench.errors import LrbenchError

NUMBER = "LRBENCH_PROCESS"
"""Environment variable that says which of the processes that work at the same time this one is, from 0."""


@dataclass(frozen=True)
class Begun:
    """What a process begins with: what makes its worker, the line to its parent, a place for last words."""

    opener: bytes
    parent: Connection
    dump: Connection
    environment: dict[str, str]


def begin(begun: Begun) -> None:
    """Take tasks until the parent has no more."""
    begin_as_child(begun.environment)
    # The parent hears Ctrl-C and says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # What libraries print from below Python goes where it spoils no table.
    os.dup2(2, 1)
    # Of one thread a crash tells little enough for the line to hold it unread.
    faulthandler.enable(begun.dump.fileno(), all_threads=False)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, begun.dump.fileno())
    # Where the parent is gone, nobody is left to tell.
    with suppress(ConnectionError):
        _Line(begun.parent).serve(begun.opener)
    # Threads that a task has left behind keep no process waiting.
    sys.stderr.flush()
    os._exit(0)


class _Line:
    """The line to the parent."""

    def __init__(self, parent: Connection) -> None:
        self.parent, self.stopped, self.process = parent, False, os.getpid()

    def serve(self, opener: bytes) -> None:
        """Open the worker and take every task that comes."""
        try:
            worker: Worker = pickle.loads(opener)()  # noqa: S301 - from the parent
            self._say("open", None)
            while True:
                task = self.parent.recv()
                if task is None:
                    break
                self._say("done", self._taken(worker, task))
        except (EOFError, ConnectionError):
            return
        except LrbenchError as error:
            self._say("error", error)
        except KeyboardInterrupt:
            self._say("stopped", None)
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            self._say("defect", "".join(traceback.format_exception(error)))

    def _taken(self, worker: Worker, task: str) -> Done:
        printed = Printed()
        with redirect_stdout(printed), redirect_stderr(printed):
            done = worker.take(task, lambda fraction, note: self._say("progress", (fraction, note)), self._stop)
        return replace(done, notes=(*printed.notes(task), *done.notes))

    def _stop(self) -> bool:
        # Nothing else comes while a task is being taken.
        if not self.stopped and self.parent.poll():
            self.parent.recv()
            self.stopped = True
        return self.stopped

    def _say(self, kind: str, content: Any) -> None:  # noqa: ANN401
        # A process that a task has forked has this line as well, and nothing to say on it.
        if os.getpid() != self.process:
            os._exit(0)
        self.parent.send((kind, content))
