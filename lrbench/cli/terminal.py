"""What every command prints with."""

import sys
from typing import TYPE_CHECKING

from lrbench.errors import printable

if TYPE_CHECKING:
    from rich.console import Console


def say(text: str) -> None:
    """Tell the user something, beside what a command prints."""
    # Names of files and of much else are a stranger's, and may drive a terminal.
    lines = "\n".join(map(printable, text.split("\n")))
    sys.stderr.write(f"lrbench: {lines}\n")


def console() -> "Console":
    """Give what prints tables."""
    from rich.console import Console  # noqa: PLC0415

    # Away from a terminal rich assumes 80 columns, which would break the tables of a log.
    return Console() if sys.stdout.isatty() else Console(width=140)
