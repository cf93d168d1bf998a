"""What a process holds once for all code in it: taken before code of others runs, and put back afterwards."""

import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import torch


class State(NamedTuple):
    """A piece of global state. What `get` gives can be compared; `put` is called where it has changed."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]


@contextmanager
def preserved() -> Iterator[None]:
    """Put every piece of `STATES` back after a block, whatever the block does.

    What no row can put back (libraries whose functions were replaced, module hooks for all modules, the number of
    inter-op threads) stays as the block left it.
    """
    taken = [(state, state.get()) for state in STATES]
    try:
        yield
    finally:
        for state, before in taken:
            if state.get() != before:
                state.put(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of Python and NumPy, and torch's on every device, for a block; see `preserved`."""
    with preserved():
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - what code of others draws from
        seed_torch(seed)
        yield


def seed_torch(seed: int) -> None:
    """Seed torch's global generators on every device that there is."""
    # `torch.manual_seed` keeps seeds for devices that are not there, each with its stack: gigabytes in a long run.
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(int(seed))


def _attribute(where: Any, name: str) -> State:  # noqa: ANN401
    label = f"{getattr(where, '__name__', type(where).__name__)}.{name}"
    return State(label, lambda: getattr(where, name), lambda value: setattr(where, name, value))


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _enter(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _put_environment(before: dict[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _put_path(before: tuple[str, ...]) -> None:
    sys.path[:] = before


def _put_log_handlers(before: tuple[logging.Handler, ...]) -> None:
    logging.root.handlers[:] = before


def _put_filters(before: tuple[Any, ...]) -> None:
    # Also makes modules forget which warnings they have given under the filters of now.
    warnings.resetwarnings()
    warnings.filters.extend(before)  # type: ignore[attr-defined]


SIGNALS = [number for number in signal.valid_signals() if isinstance(number, signal.Signals)]


def _handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in SIGNALS}


def _put_handlers(before: dict[signal.Signals, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in before.items():
        # None: set by other than Python code, which alone could set it again.
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _numpy_generator() -> tuple[Any, ...]:
    kind, key, *rest = np.random.get_state()  # noqa: NPY002
    return (kind, np.asarray(key).tobytes(), *rest)


def _put_numpy_generator(before: tuple[Any, ...]) -> None:
    kind, key, *rest = before
    np.random.set_state((kind, np.frombuffer(key, np.uint32), *rest))  # noqa: NPY002


def _torch_generators() -> list[bytes]:
    # Asking a device that nobody has used would take hold of it.
    others = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    states = [torch.get_rng_state(), *others]
    return [state.numpy().tobytes() for state in states]


def _put_torch_generators(before: list[bytes]) -> None:
    cpu, *devices = (torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in before)
    torch.set_rng_state(cpu)
    if devices:
        torch.cuda.set_rng_state_all(devices)


def _put_device(before: torch.device) -> None:
    # A default of "cpu" that is set passes through every call of torch; one that is not set costs nothing.
    torch.set_default_device(None if before.type == "cpu" else before)


def _autocast() -> list[tuple[str, bool, torch.dtype]]:
    return [(kind, torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ("cpu", "cuda")]


def _put_autocast(before: list[tuple[str, bool, torch.dtype]]) -> None:
    for kind, enabled, dtype in before:
        torch.set_autocast_enabled(kind, enabled)
        torch.set_autocast_dtype(kind, dtype)


_BACKENDS: list[Any] = [
    torch.backends,
    torch.backends.cuda.matmul,
    *(getattr(torch.backends.cudnn, part) for part in ("conv", "rnn")),
    *(getattr(torch.backends.mkldnn, part) for part in ("matmul", "conv", "rnn")),
]
"""What has a precision of its own, the general before the particular."""


class _Precision(NamedTuple):
    """torch's older settings, None where it finds them at odds with the newer ones; and the newer ones."""

    matmul: str | None
    tf32: bool | None
    backends: tuple[str, ...]


def _precision() -> _Precision:
    backends = tuple(each.fp32_precision for each in _BACKENDS)
    matmul = tf32 = None
    with suppress(RuntimeError):
        matmul = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        tf32 = torch.backends.cudnn.allow_tf32
    return _Precision(matmul, tf32, backends)


def _put_precision(before: _Precision) -> None:
    if before.matmul is not None:
        torch.set_float32_matmul_precision(before.matmul)
    if before.tf32 is not None:
        torch.backends.cudnn.allow_tf32 = before.tf32
    # The older ones set some of these as well.
    for each, value in zip(_BACKENDS, before.backends, strict=True):
        each.fp32_precision = value


def _put_alarm(rang: bool) -> None:
    if not rang:
        signal.setitimer(signal.ITIMER_REAL, 0)


_ALARM = [State("alarm", lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0, _put_alarm)]

STATES = [
    # The process
    State("working directory", _folder, _enter),
    State("environment variables", lambda: dict(os.environ), _put_environment),
    State("sys.path", lambda: tuple(sys.path), _put_path),
    *(_attribute(sys, name) for name in ("stdin", "stdout", "stderr", "excepthook")),
    State("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    State("trace function", sys.gettrace, sys.settrace),
    State("profile function", sys.getprofile, sys.setprofile),
    State("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    State("locale", lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    State("signal handlers", _handlers, _put_handlers),
    *_ALARM,
    State("warning filters", lambda: tuple(warnings.filters), _put_filters),
    _attribute(warnings, "showwarning"),
    State("logging level", lambda: logging.root.level, logging.root.setLevel),
    State("disabled logging", lambda: logging.root.manager.disable, logging.disable),
    State("logging handlers", lambda: tuple(logging.root.handlers), _put_log_handlers),
    # Generators
    State("random", random.getstate, random.setstate),
    State("numpy.random", _numpy_generator, _put_numpy_generator),
    State("torch's generators", _torch_generators, _put_torch_generators),
    # NumPy
    State("numpy.errstate", np.geterr, lambda before: np.seterr(**before)),
    State("numpy's print options", np.get_printoptions, lambda before: np.set_printoptions(**before)),
    # torch
    State("default dtype", torch.get_default_dtype, torch.set_default_dtype),
    State("default device", torch.get_default_device, _put_device),
    State("threads", torch.get_num_threads, torch.set_num_threads),
    State("gradients", torch.is_grad_enabled, torch.set_grad_enabled),
    State("autocast", _autocast, _put_autocast),
    State("autocast's cache", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    State(
        "anomaly detection",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda before: torch.set_anomaly_enabled(*before),
    ),
    State("deterministic algorithms", torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    _attribute(torch.utils.deterministic, "fill_uninitialized_memory"),
    # torch tells of denormals only by what it makes of one.
    State("denormals", lambda: sys.float_info.min / 2 == 0.0, torch.set_flush_denormal),
    State("float32 precision", _precision, _put_precision),
    *(
        _attribute(torch.backends.cuda.matmul, name)
        for name in ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
    ),
    *(_attribute(torch.backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic")),
    *(_attribute(torch.backends.mkldnn, name) for name in ("enabled", "deterministic")),
]
"""One row for each piece of state; `preserved` is all that reads it."""
