"""Workers for the engines' tests, which other processes can load."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lrbench.engines import Done
from lrbench.errors import LrbenchError


def stuck(_):
    while True:
        time.sleep(0.01)


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


ODD = {
    "exits": lambda status: os._exit(int(status)),
    "signal": lambda number: os.kill(os.getpid(), int(number)),
    # Ends the process when it takes another task.
    "poisons": lambda _: threading.Timer(0.1, os._exit, [7]).start(),
    "prints": lambda count: print("\n".join(f"line {i} \x1b[2J" for i in range(int(count)))),
    "stuck": stuck,
    "leaves": lambda name: setattr(os, f"left_{name}", True),
    "forks": lambda _: os.fork(),
}


@dataclass(frozen=True)
class Toy:
    """Writes a file for each task that it takes; what it does follows from the task's name."""

    folder: Path

    def __call__(self):
        return self

    def take(self, task, report, stop):
        started = time.perf_counter()
        (self.folder / f"{task}.{os.getpid()}.{time.monotonic_ns()}").touch()
        if task.startswith("fatal"):
            msg = "the folder is gone"
            raise LrbenchError(msg)
        if task.startswith("dies") and len(list(self.folder.glob(f"{task}.*"))) < int(task.partition("-")[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        if task.startswith("loses") and len(list(self.folder.glob(f"{task}.*"))) < 2:
            # Ray's process has begun the server that this one is a copy of.
            os.kill(parent_of(os.getppid()), signal.SIGKILL)
            stuck(None)
        kind, _, number = task.partition("-")
        for left in (name for name in vars(os) if name.startswith("left_")):
            (self.folder / f"{left}.seen-by.{task}").touch()
        ODD.get(kind, lambda _: None)(number)
        if task.startswith("long"):
            for _ in range(400):
                if stop():
                    raise KeyboardInterrupt
                time.sleep(0.05)
        report(0.5, "half way")
        if task.startswith("work"):
            time.sleep(float(task.rpartition("-")[2]))
        reason = "it fails" if task.startswith("fails") else None
        return Done(task, time.perf_counter() - started, reason)


class Recorder:
    """Keeps what an engine says."""

    def __init__(self, stop_at=None):
        self.events, self.done, self.lost, self.notes, self.stop_at = [], {}, {}, [], stop_at
        self.details = {}

    def started(self, task):
        self.events.append(("started", task))

    def progress(self, task, fraction, note):
        self.events.append(("progress", task, fraction, note))

    def finished(self, done):
        self.events.append(("finished", done.id))
        self.done[done.id] = done.reason
        self.details[done.id] = done.details
        self.notes += done.notes

    def skipped(self, task, needed):
        self.lost[task] = needed

    def note(self, text):
        self.notes.append(text)

    def stopping(self):
        return self.stop_at is not None and ("started", self.stop_at) in self.events


def dies(*_):
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)
