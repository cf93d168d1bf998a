"""Stopping a run: at the end of the current batch when first asked to, at once the second time."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lrbench.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether somebody asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.number: int | None = None

    @property
    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        return self.number is not None


@contextmanager
def interruptible(note: Callable[[str], None]) -> Iterator[Interrupt]:
    """Take SIGINT (Ctrl-C) and SIGTERM as requests to stop, and put the old handlers back afterwards.

    Outside the main thread, where Python delivers no signals, nothing is changed.

    Parameters
    ----------
    note : callable
        Told when the first request comes.

    Raises
    ------
    Stopped
        In the place of a KeyboardInterrupt that follows a request.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        if interrupt.asked:
            raise KeyboardInterrupt
        interrupt.number = number
        note("stopping after the current batch; once more stops at once")

    before: dict[signal.Signals, Any] = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield interrupt
    except KeyboardInterrupt as stopped:
        if interrupt.number is None:
            raise
        raise Stopped(interrupt.number) from stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
