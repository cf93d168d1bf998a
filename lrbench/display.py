"""A run as its user watches it: a live display in a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from lrbench.leaderboard.text import duration
from lrbench.runner.step import Step

PLAIN_INTERVAL = 15.0
"""Seconds between two plain lines about the same step."""


class LiveDisplay:
    """A bar for the run's steps, and one for each running step with its epochs or batches."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, steps: int, finished: int) -> None:
        """Show the run's bar."""
        self._run = self._progress.add_task("steps", total=steps, completed=finished, note=f"{finished}/{steps}")
        self._bars: dict[str, TaskID] = {}
        self._steps, self._finished = steps, finished

    def start(self, step: Step) -> None:
        """Add a bar for a new step."""
        self._bars[step.id] = self._progress.add_task(step.id, total=1.0, note="")

    def progress(self, step: Step, fraction: float, note: str) -> None:
        """Move a step's bar."""
        if step.id in self._bars:
            self._progress.update(self._bars[step.id], completed=fraction, note=note)

    def finish(self, step: Step, seconds: float, left: float | None) -> None:  # noqa: ARG002
        """Take the step's bar away and move the run's."""
        self.drop(step)
        self._finished += 1
        note = f"{self._finished}/{self._steps}, {duration(left)} left"
        self._progress.update(self._run, completed=self._finished, note=note)

    def drop(self, step: Step) -> None:
        """Take the step's bar away."""
        if step.id in self._bars:
            self._progress.remove_task(self._bars.pop(step.id))

    def note(self, text: str) -> None:
        """Print above the bars."""
        self._progress.console.print(Text(text, style="yellow"))


class PlainDisplay:
    """One line when a step is done, and now and then one in between."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def begin(self, steps: int, finished: int) -> None:
        """Say how much there is to do."""
        self._steps, self._finished = steps, finished
        self._said: dict[str, float] = {}
        self._print(f"{steps} steps, {finished} done already")

    def start(self, step: Step) -> None:
        """Remember the time."""
        self._said[step.id] = time.monotonic()

    def progress(self, step: Step, fraction: float, note: str) -> None:
        """Say where a long step is."""
        if time.monotonic() - self._said.setdefault(step.id, time.monotonic()) >= PLAIN_INTERVAL:
            self._said[step.id] = time.monotonic()
            self._print(f"  {step.id}: {100 * fraction:.0f} %, {note}")

    def finish(self, step: Step, seconds: float, left: float | None) -> None:
        """Say that the step is done."""
        self._finished += 1
        self._print(f"[{self._finished}/{self._steps}] {step.id} {seconds:.1f} s, {duration(left)} left")

    def drop(self, step: Step) -> None:
        """Say nothing: a note says why."""

    def note(self, text: str) -> None:
        """Say it on a line of its own."""
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


Display = LiveDisplay | PlainDisplay


def display_for(console: Console) -> Display:
    """Choose live in a terminal, plain elsewhere."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)
