"""Work on many examples in batches that fit into memory."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

T = TypeVar("T")


def in_batches(
    work: Callable[[slice], T], count: int, batch_size: int, tell: Callable[[int], object] = lambda _done: None
) -> list[T]:
    """Call `work` on slices of `count` examples, in order; when memory runs out, halve the slices and continue.

    Parameters
    ----------
    work : callable
        Takes a slice of examples. May be called again for examples on which it ran out of memory.
    count : int, >= 0
    batch_size : int, >= 1
        Examples of the first slices.
    tell : callable, optional
        Told after each slice how many examples are done.

    Raises
    ------
    RuntimeError
        If memory does not suffice for a single example, or `work` fails for another reason.
    """
    if count == 0:
        return [work(slice(0, 0))]
    parts: list[T] = []
    done, size = 0, batch_size
    while done < count:
        rows = slice(done, min(done + size, count))
        part = _tried(work, rows)
        if part is None:
            size = max(1, (rows.stop - rows.start) // 2)
            # The failed attempt's tensors are unreachable now that its exception is gone.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        parts.append(part[0])
        done = rows.stop
        tell(done)
    return parts


def _tried(work: Callable[[slice], T], rows: slice) -> tuple[T] | None:
    """Give the result in a tuple, or None if memory ran out and there is something to halve."""
    try:
        return (work(rows),)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error) or rows.stop - rows.start < 2:
            raise
    return None


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: on a CUDA device, or, in the words of torch's allocator, on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
