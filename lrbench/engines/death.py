"""How a process ended in the middle of a task, and whether the task is to blame."""

import signal
from dataclasses import dataclass

from lrbench.engines.base import Done, Watch
from lrbench.engines.schedule import Schedule

ATTEMPTS = 3
"""Times a task is tried whose process ended for another reason than the task."""

FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM} if hasattr(signal, "SIGKILL") else {signal.SIGTERM}
"""What a system that is out of memory sends, a scheduler, or a person; code that crashes gets others."""


@dataclass(frozen=True)
class Died:
    """A task that was lost with its process.

    Attributes
    ----------
    task : str
    how : str
        Goes on after "its process".
    again : bool
        Whether another try may go well: the process was ended from outside, or had taken other tasks before, which may
        have left it broken.
    seconds : float
    details : str
        What the process could still say: where its threads were.
    """

    task: str
    how: str
    again: bool
    seconds: float = 0.0
    details: str = ""


def how_it_ended(code: int | None) -> tuple[str, bool]:
    """Put an exit code into words that follow "its process", and whether it came from outside."""
    if code is None:
        return "was lost", True
    if code >= 0:
        # 255 is also what Python says when the server that begins processes is gone.
        return f"ended with status {code}", code == 255
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"was killed by signal {-code}", False
    return f"was killed by signal {-code} ({number.name})", number in FROM_OUTSIDE


class Tries:
    """Counts how often each task was lost."""

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}

    def __contains__(self, task: str) -> bool:
        """Whether a task was lost before, so that it wants a process that has taken no other."""
        return task in self._lost

    def settle(self, found: Done | Died, schedule: Schedule, watch: Watch) -> None:
        """Count a task as what it ended as, or put it back to be tried again, and report it."""
        done = self._failed(found) if isinstance(found, Died) else found
        if done is not None:
            schedule.settle(done, watch)
        elif isinstance(found, Died):
            watch.note(f"a process {found.how}; again, in a new one: {found.task}")
            schedule.again(found.task)

    def _failed(self, died: Died) -> Done | None:
        """Give the task as failed; None if it should be tried again."""
        lost = self._lost[died.task] = self._lost.get(died.task, 0) + 1
        if died.again and lost < ATTEMPTS:
            return None
        times = f", the last of {ATTEMPTS} times (out of memory?)" if died.again else ""
        return Done(died.task, died.seconds, f"its process {died.how}{times}", details=died.details)
