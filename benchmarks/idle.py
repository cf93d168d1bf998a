"""A worker that does nothing, which other processes can load."""

import time

from lrbench.engines import Done


class Idle:
    """Sleeps as long as a task's name says."""

    def take(self, task, report, stop):  # noqa: ARG002
        seconds = float(task.rpartition("~")[2])
        time.sleep(seconds)
        return Done(task, seconds)
