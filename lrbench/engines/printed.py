"""What code of others prints while a task is taken: a few lines of it are shown, the rest is counted."""

import io
from collections.abc import Iterator

LINES = 5
WIDTH = 200


class Printed(io.TextIOBase):
    """A text stream that keeps its first lines."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._last, self._more = "", 0

    def writable(self) -> bool:
        """Say yes."""
        return True

    def fileno(self) -> int:
        """Give standard error's, for those that print past Python."""
        return 2

    def write(self, text: str) -> int:
        """Keep text, cut to `LINES` lines of `WIDTH` characters."""
        *whole, last = text.split("\n")
        for line in whole:
            self._keep(self._last + line)
            self._last = ""
        self._last = (self._last + last)[: WIDTH + 1]
        return len(text)

    def notes(self, task: str) -> Iterator[str]:
        """Give what was printed as notes about a task."""
        if self._last:
            self._keep(self._last)
            self._last = ""
        for line in self._lines:
            yield f"{task} printed: {line if len(line) <= WIDTH else line[: WIDTH - 3] + '...'}"
        if self._more:
            yield f"{task} printed {self._more:,} lines more"

    def _keep(self, line: str) -> None:
        shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in line.rstrip())
        if not shown:
            return
        if len(self._lines) < LINES:
            self._lines.append(shown)
        else:
            self._more += 1
