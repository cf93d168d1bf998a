"""The command line. Holds no logic, and imports what computes only when a command needs it."""

import atexit
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from lrbench.cli.parser import make_parser
from lrbench.cli.terminal import say
from lrbench.errors import LrbenchError, Stopped, printable

__all__ = ["main", "program"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; give the exit status."""
    given = make_parser().parse_args(arguments)
    try:
        status: int = given.command(given)
    except LrbenchError as error:
        say(_in_one_piece(str(error), sys.argv[1:] if arguments is None else arguments))
        return error.exit_status
    except MemoryError:
        say("out of memory; finished steps are kept, the same command resumes there")
        return 1
    except KeyboardInterrupt as stopped:
        say("stopped; finished steps are kept, the same command resumes there")
        ended = stopped if isinstance(stopped, Stopped) else Stopped(signal.SIGINT)
        return ended.exit_status
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _in_one_piece(message: str, arguments: Sequence[str]) -> str:
    """Escape the line breaks of what the user gave, such as a folder's name, in a message that has its own."""
    for part in (part for argument in arguments for part in re.split("[/:=]", argument)):
        if "\n" in part and part.strip():
            message = message.replace(part, printable(part))
    return message


def program() -> NoReturn:
    """Run a command as a process of its own, and end that without taking the libraries down one by one.

    Taking torch down costs more than a second, which somebody who stopped a run waits for.
    """
    try:
        status = main()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
