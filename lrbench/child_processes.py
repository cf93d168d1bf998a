"""How other processes of this machine are begun: as copies of one that has loaded what they all need."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from types import ModuleType

NEEDED = [*(f"lrbench.runner.{name}" for name in ("work", "train", "measure", "attack", "joint"))]
NEEDED += ["torch._dynamo", "sklearn.linear_model"]
"""Loaded once, for all of them: torch and SciPy, which come with it, and scikit-learn take seconds, and so does what
every optimiser of torch loads at its first step."""


def process_context() -> BaseContext:
    """Give what other processes are begun with: a server that copies itself, or where there is none, from nothing."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(NEEDED)
    return context


def load_ahead() -> None:
    """Let the server load what processes need while this one continues."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver  # noqa: PLC0415

        process_context()
        forkserver.ensure_running()


@contextmanager
def without_main() -> Iterator[None]:
    """Begin processes that do not run the main module of this one again, where that is somebody else's program."""
    before = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = before


def begin_as_child(environment: Mapping[str, str]) -> None:
    """Take over the parent's environment, since the server has that of the time it was begun; end when the parent does.

    A parent that is killed leaves nobody to say so: its children would work on, or wait for it for ever.
    """
    os.environ.clear()
    os.environ.update(environment)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
