"""A training in several processes of one machine: each takes an even part of every batch (PyTorch DDP)."""

import os
import pickle
import queue
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from lrbench.child_processes import begin_as_child, process_context, without_main
from lrbench.errors import LrbenchError

POLL_SECONDS = 0.2
SETTLE_SECONDS = 1.0
Send = Callable[[Any], None]


def in_processes(
    count: int,
    work: Callable[[torch.device, Send], None],
    device: torch.device,
    receive: Callable[[Any], None],
    check_stop: Callable[[], None],
) -> None:
    """Call `work` in processes that can speak to each other through `torch.distributed`, and wait for all.

    Parameters
    ----------
    count : int
    work : callable
        Can be pickled. Takes the process's device and a function whose argument `receive` gets here; only the first
        process's words arrive.
    device : torch.device
        "cpu" (with gloo), or "cuda" (with NCCL): one GPU a process.
    receive : callable
        Called in this process.
    check_stop : callable
        Called again and again; may raise to end them all.

    Raises
    ------
    LrbenchError
        If there are fewer GPUs than processes, a process raises it, fails otherwise, or is lost.
    """
    if device.type == "cuda" and torch.cuda.device_count() < count:
        msg = f"{count} processes need {count} GPUs; this machine shows {torch.cuda.device_count()}"
        raise LrbenchError(msg)
    context = process_context()
    messages = context.Queue()
    with tempfile.TemporaryDirectory(prefix="lrbench-") as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        threads = max(1, torch.get_num_threads() // count)
        processes = [
            context.Process(  # type: ignore[attr-defined]
                target=_begin,
                args=(rank, count, meeting, device.type, threads, work, messages, dict(os.environ)),
                daemon=True,
            )
            for rank in range(count)
        ]
        try:
            with without_main():
                for process in processes:
                    process.start()
            _listen(processes, messages, receive, check_stop)
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.join()


def _listen(
    processes: list[Any],
    messages: Any,  # noqa: ANN401 - what multiprocessing's contexts make has no common type
    receive: Callable[[Any], None],
    check_stop: Callable[[], None],
) -> None:
    ended: set[int] = set()
    while len(ended) < len(processes):
        check_stop()
        # Before the queue is read: what a process said before it died is in the queue then.
        dead = _dead(processes, 255, ended)
        try:
            kind, content = messages.get(timeout=POLL_SECONDS)
        except queue.Empty:
            if dead is not None:
                raise dead from None
            continue
        if kind == "error":
            raise _killed(processes) or content
        if kind == "end":
            ended.add(content)
        else:
            receive(pickle.loads(content))  # noqa: S301 - from a process of our own


def _killed(processes: list[Any]) -> LrbenchError | None:
    """Say which process was killed: another may tell that it misses it before the system tells that it is gone."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (found := _dead(processes, -1)) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 10)
    return found


def _dead(processes: list[Any], highest: int, ended: Collection[int] = ()) -> LrbenchError | None:
    """Say which process was lost, by an exit code up to `highest`; that of a signal is negative.

    One that did not say that its work has `ended` was lost with any code: code of others may exit with 0.
    """
    for rank, process in enumerate(processes):
        code = process.exitcode
        if code is not None and rank not in ended and code <= highest:
            return LrbenchError(f"process {rank} of {len(processes)} was lost (exit code {code}; out of memory?)")
    return None


def _begin(
    rank: int,
    count: int,
    meeting: str,
    kind: str,
    threads: int,
    work: Callable[[torch.device, Send], None],
    messages: Any,  # noqa: ANN401
    environment: dict[str, str],
) -> None:
    begin_as_child(environment)
    # The process that began it hears Ctrl-C and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(threads)
    # Of 1x1 convolutions in channels-last layout, whose gradients DDP copies.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    _send_buffers_unseen()
    device = torch.device(f"cuda:{rank}" if kind == "cuda" else "cpu")

    def send(content: Any) -> None:  # noqa: ANN401
        if rank == 0:
            # As bytes: tensors would be sent as memory shared with a process that may be gone when they are read.
            messages.put(("sent", pickle.dumps(content)))

    try:
        if kind == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if kind == "cuda" else "gloo", meeting, rank=rank, world_size=count)
        work(device, send)
        dist.destroy_process_group()
        messages.put(("end", rank))
    except LrbenchError as error:
        messages.put(("error", error))
    # Where the others wait for this one, only its own traceback says why.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        failed = LrbenchError(f"process {rank} of {count}: {type(error).__name__}: {error}")
        failed.add_note("".join(traceback.format_exception(error)))
        messages.put(("error", failed))


def _send_buffers_unseen() -> None:
    """Keep the versions of buffers that DDP overwrites before a pass, where torch (2.11) does not do so by itself.

    Autograd otherwise refuses a loss of two passes, as that of TRADES is: running statistics, which the gradient of
    batch norm in training does not use, were sent in between.
    """
    send = DistributedDataParallel._sync_buffers
    if "_unsafe_preserve_version_counter" in send.__code__.co_names:
        return
    from torch.autograd.grad_mode import _unsafe_preserve_version_counter  # noqa: PLC0415

    def unseen(module: DistributedDataParallel) -> None:
        with _unsafe_preserve_version_counter(tuple(module.module.buffers())):
            send(module)  # type: ignore[no-untyped-call]

    DistributedDataParallel._sync_buffers = unseen  # type: ignore[method-assign]
