"""Two writers who come to the same locations at the same moment, round after round."""

import threading
from contextlib import ExitStack
from multiprocessing import get_context

from lrbench.errors import UsageError
from lrbench.store import Store


def contend(locations, part, barrier, put):
    """Try every location when the other does, and stay until the other has tried; put whether one got in."""
    got = []
    for location in locations:
        barrier.wait(60)
        with ExitStack() as inside:
            try:
                inside.enter_context(Store(location).writing(part))
                got.append(True)
            except UsageError:
                got.append(False)
            barrier.wait(60)
    put((part, got))


def threads(locations, parts):
    """For each round, how many got in, of as many threads as there are parts."""
    barrier, answers = threading.Barrier(len(parts)), []
    return _run(threading.Thread, answers.append, lambda: answers, locations, parts, barrier)


def processes(locations, parts):
    """The same of processes."""
    context = get_context("spawn")
    barrier, answers = context.Barrier(len(parts)), context.SimpleQueue()
    return _run(context.Process, answers.put, lambda: [answers.get() for _ in parts], locations, parts, barrier)


def _run(kind, put, answers, locations, parts, barrier):
    started = [kind(target=contend, args=(locations, part, barrier, put)) for part in parts]
    for each in started:
        each.start()
    for each in started:
        each.join()
    return [sum(got) for got in zip(*(got for _, got in answers()), strict=True)]
