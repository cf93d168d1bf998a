"""Stopping a run: at the end of the current batch when first asked to, at once the second time."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def interruptible(note: Callable[[str], None]) -> Iterator[Interrupt]:
    """Take SIGINT (Ctrl-C) and SIGTERM as requests to stop, and put the old handlers back afterwards.

    Outside the main thread, where Python delivers no signals, nothing is changed.

    Parameters
    ----------
    note : callable
        Told when the first request comes.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        if interrupt.asked:
            raise KeyboardInterrupt
        interrupt.asked = True
        note("stopping after the current batch; once more stops at once")

    before: dict[signal.Signals, Any] = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
