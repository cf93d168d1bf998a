"""Clocks for a device that works while the host does something else."""

import statistics
import time
import warnings
from collections.abc import Callable

import torch

WAIT = "called a synchronizing CUDA operation"
"""What torch says of one, in `torch.cuda.set_sync_debug_mode("warn")`."""


def settled(device: str) -> None:
    """Wait until a device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object], device: str, count: int = 1) -> float:
    """Mean seconds of a call."""
    settled(device)
    start = time.perf_counter()
    for _ in range(count):
        work()
    settled(device)
    return (time.perf_counter() - start) / count


def in_turns(works: dict[str, Callable[[], object]], device: str, *, rounds: int, budget: float) -> dict[str, dict]:
    """Time several in turns, after one call each to warm up; a round takes about `budget` seconds, or a call each.

    Gives of each median, min and max of the rounds' means in ms, the number of calls a round, and the ratio to the
    first, median of the rounds' ratios.
    """
    counts = {}
    for name, work in works.items():
        seconds_of(work, device)
        each = seconds_of(work, device, 2)
        counts[name] = max(1, min(200, int(budget / len(works) / each)))
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(1000 * seconds_of(work, device, counts[name]))
    first = next(iter(found.values()))
    return {
        name: spread(values, "ms")
        | {
            "calls a round": counts[name],
            "rounds": rounds,
            "ratio": statistics.median(a / b for a, b in zip(values, first, strict=True)),
        }
        for name, values in found.items()
    }


def spread(values: list[float], unit: str) -> dict:
    """Median, least and largest."""
    return {unit: statistics.median(values), f"{unit} min": min(values), f"{unit} max": max(values)}


def waits(work: Callable[[], object], device: str, calls: int) -> float | None:
    """How often the host waits for the GPU in a call, on average; None where there is none."""
    if not device.startswith("cuda"):
        return None
    settled(device)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for _ in range(calls):
                work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum(WAIT in str(each.message) for each in seen) / calls
