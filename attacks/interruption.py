"""What is asked before every pass of a prepared model: who waits for an attack can end it between two passes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ASKED: ContextVar[Callable[[], None] | None] = ContextVar("lrbench_before_each_pass", default=None)


@contextmanager
def before_each_pass(ask: Callable[[], None]) -> Iterator[None]:
    """Have something asked before every pass in this block; what it raises ends the attack.

    Parameters
    ----------
    ask : callable
        Quick, since an attack takes thousands of passes.
    """
    token = _ASKED.set(ask)
    try:
        yield
    finally:
        _ASKED.reset(token)


def ask() -> None:
    """Ask, if somebody wants it."""
    asked = _ASKED.get()
    if asked is not None:
        asked()
