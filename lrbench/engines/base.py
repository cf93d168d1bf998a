"""What engines and those who use them exchange."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Task:
    """A step as an engine sees it: its name, what must be done before it, and roughly how long it takes.

    Attributes
    ----------
    external : frozenset of str
        Code of others that it runs. Nobody knows what that leaves behind in its process (threads, functions of
        libraries that it replaced), so a process that ran some takes no task that does not run the same.
    """

    id: str
    needs: tuple[str, ...] = ()
    cost: float = 1.0
    external: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Done:
    """A task that has ended: `reason` is None where it is done, else what went wrong; `notes` are for the user.

    `details` of what went wrong are long: a traceback.
    """

    id: str
    seconds: float
    reason: str | None = None
    notes: tuple[str, ...] = ()
    details: str = ""


class Worker(Protocol):
    """Takes tasks one after the other, in the process in which it was made."""

    def take(self, task: str, report: Report, stop: Callable[[], bool]) -> Done:
        """Take a task and keep what comes of it.

        `report` is called with how far it is, and a note; when `stop` says so, it ends after the current batch.
        Whatever goes wrong in a task, a `SystemExit` among it, is a reason of the `Done` that comes back.

        Raises
        ------
        LrbenchError
            If no other task can be taken either.
        KeyboardInterrupt
            If it was stopped.
        """


class Watch(Protocol):
    """Follows a run. All methods are called in one thread of the process that began it."""

    def started(self, task: str) -> None:
        """Take note that a task begins."""

    def progress(self, task: str, fraction: float, note: str) -> None:
        """Take note of how far a task is."""

    def finished(self, done: Done) -> None:
        """Take note that a task has ended."""

    def skipped(self, task: str, needed: str) -> None:
        """Take note that a task cannot be taken, since one that it needs has failed."""

    def note(self, text: str) -> None:
        """Say something that the user should know."""

    def stopping(self) -> bool:
        """Whether somebody asked to stop.

        Raises
        ------
        LrbenchError
            If nothing may be written any more.
        """


class Engine(Protocol):
    """Runs tasks so that each comes after those it needs."""

    def run(self, tasks: Sequence[Task], open_worker: Callable[[], Worker], watch: Watch) -> None:
        """Run all tasks; those that need a failed one are skipped.

        `open_worker` is called in each process that takes tasks; it can be pickled.

        Raises
        ------
        LrbenchError
            If a worker raises it.
        KeyboardInterrupt
            If somebody asked to stop.
        """
