"""Memory that a pass frees stays with the process for the next pass, while a model is lent for passes.

By itself glibc gives the memory of activations back to the system when they are freed, and the next pass, which asks
for as much, waits until the system has cleared it: a fifth of the processor's time of a small network on the CPU.
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TRIM, MMAP = -1, -3
"""What `mallopt` calls the free memory from which on it is given back, and the size of what is mapped on its own."""

LARGEST = 32 * 2**20
"""Largest threshold of MMAP that glibc takes, and the one that its own adjustment ends at."""

KEPT = 2**30

_lock = threading.Lock()
_lent = 0


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep freed memory in this block; afterwards hold glibc to the thresholds at which its own adjustment ends.

    Does nothing where the C library has no `mallopt`.
    """
    _enter(1, KEPT)
    try:
        yield
    finally:
        _enter(-1, 2 * LARGEST)


def _enter(change: int, trim: int) -> None:
    """Count who is in such a block; set the thresholds when the first one comes and when the last one goes."""
    global _lent
    with _lock:
        before, _lent = _lent, _lent + change
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
        if mallopt is not None and 0 in {before, _lent}:
            mallopt(MMAP, LARGEST)
            mallopt(TRIM, trim)
