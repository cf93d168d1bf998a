"""A step in a process of its own: its rows come back at once, and whatever becomes of it is said."""

import contextlib
import gc
import importlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from benchmarks.gpu.setting import LeftOut, NotNow, Setting

Message = tuple[str, Any, Any]


def run(
    module: str, setting: Setting, method: str, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[Message]:
    """Run a step; give messages (kind, row, content) as they come.

    Of a row they are "begun", maybe "so far" with values, then "ok" with values, "left out" or "not now" with why, or
    "error" with its last line and the traceback. The last one is "ended", "time" or "lost", with why. A step that is
    over its deadline is killed, with all processes that it began. `meanwhile` is called here once it has begun.
    """
    context: Any = multiprocessing.get_context(method)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(module, setting, theirs))
    process.start()
    theirs.close()
    try:
        meanwhile()
        yield from _messages(ours, process, setting)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join(5)  # one that a driver holds is not waited for
        ours.close()


def _messages(ours: Connection, process: Any, setting: Setting) -> Iterator[Message]:
    while True:
        if not ours.poll(max(0.0, setting.left())):
            yield "time", None, None
            return
        try:
            message: Message = ours.recv()
        except (EOFError, OSError):
            process.join(5)
            yield "lost", None, f"the process ended with exit code {process.exitcode}"
            return
        yield message
        if message[0] == "ended":
            return


def _child(module: str, setting: Setting, theirs: Connection) -> None:
    with contextlib.suppress(OSError):
        os.setsid()
    parent = multiprocessing.parent_process()
    threading.Thread(target=_end_with, args=(parent.sentinel if parent else None,), daemon=True).start()
    try:
        sound = _rows(module, setting, theirs)
    except Exception as error:  # noqa: BLE001 - said, and the next step comes
        theirs.send(("error", "start", (f"{type(error).__name__}: {error}", traceback.format_exc())))
        sound = False
    if sound:
        theirs.send(("ended", None, None))
    theirs.close()
    # What CUDA, compilers and their threads do at an exit takes seconds that nobody has.
    os._exit(0 if sound else 3)


def _rows(module: str, setting: Setting, theirs: Connection) -> bool:
    """Make all rows; False where the device's context was lost with one."""
    if setting.cuda:
        torch.cuda.init()
    gc.freeze()  # what was imported stays, and need not be looked through after every row
    torch.set_num_threads(1 if setting.rehearse else max(1, len(os.sched_getaffinity(0))))
    for row, work in importlib.import_module(module).rows(setting):
        if row in setting.done:
            continue
        theirs.send(("begun", row, None))
        setting.tell = lambda values, row=row: theirs.send(("so far", row, [values]))
        if not _one(row, work, setting, theirs):
            return False
    return True


def _one(row: str, work: Any, setting: Setting, theirs: Connection) -> bool:
    """Make a row; whether the process can go on."""
    gc.collect()  # what the last row recorded for the GPU refers to itself, and holds its memory
    if setting.cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    try:
        values = work()
    except LeftOut as reason:
        theirs.send(("left out", row, {"why": str(reason)}))
    except NotNow as reason:
        theirs.send(("not now", row, {"why": str(reason)}))
    except Exception as error:  # noqa: BLE001 - each is said, and the next row comes
        theirs.send(("error", row, (f"{type(error).__name__}: {error}", traceback.format_exc())))
        return "CUDA error" not in str(error)
    else:
        extra = {"row s": time.perf_counter() - start}
        if setting.cuda:
            extra["peak MiB"] = torch.cuda.max_memory_allocated() / 2**20
        several = values if isinstance(values, list) else [values]
        theirs.send(("ok", row, [each | extra for each in several]))
    return True


def _end_with(sentinel: Any) -> None:
    if sentinel is not None:
        wait([sentinel])
        os.killpg(os.getpgid(0), signal.SIGKILL)
