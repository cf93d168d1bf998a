"""Each piece of global state: changed by a block, and as it was after it."""

import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings

import numpy as np
import pytest
import torch

from lrbench import training
from lrbench.global_state import STATES, preserved, seeded

CHANGES = {
    "working directory": lambda: os.chdir("/"),
    "environment variables": lambda: (os.environ.update(ODD="1"), os.environ.pop("PATH")),
    "sys.path": lambda: sys.path.clear(),  # noqa: PLW0108 - of the list that is there then
    "sys.stdin": lambda: setattr(sys, "stdin", None),
    "sys.stdout": lambda: setattr(sys, "stdout", sys.__stderr__),
    "sys.stderr": lambda: setattr(sys, "stderr", sys.__stdout__),
    "sys.excepthook": lambda: setattr(sys, "excepthook", print),
    "recursion limit": lambda: sys.setrecursionlimit(12345),
    "trace function": lambda: sys.settrace(lambda *_: None),
    "profile function": lambda: sys.setprofile(lambda *_: None),
    "garbage collection": gc.disable,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "signal handlers": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "alarm": lambda: signal.alarm(60),
    "warning filters": lambda: warnings.simplefilter("error"),
    "warnings.showwarning": lambda: setattr(warnings, "showwarning", print),
    "logging level": lambda: logging.root.setLevel(1),
    "disabled logging": lambda: logging.disable(50),
    "logging handlers": lambda: logging.root.addHandler(logging.NullHandler()),
    "random": random.random,
    "numpy.random": np.random.rand,
    "torch's generators": lambda: torch.rand(1),
    "numpy.errstate": lambda: np.seterr(all="raise"),
    "numpy's print options": lambda: np.set_printoptions(precision=2),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "threads": lambda: torch.set_num_threads(3),
    "gradients": lambda: torch.set_grad_enabled(False),
    "autocast": lambda: (torch.set_autocast_enabled("cpu", True), torch.set_autocast_dtype("cpu", torch.float16)),
    "autocast's cache": lambda: torch.set_autocast_cache_enabled(False),
    "anomaly detection": lambda: torch.set_anomaly_enabled(True, check_nan=False),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "torch.utils.deterministic.fill_uninitialized_memory": lambda: setattr(
        torch.utils.deterministic, "fill_uninitialized_memory", False
    ),
    "denormals": lambda: torch.set_flush_denormal(True),
    "float32 precision": lambda: torch.set_float32_matmul_precision("medium"),
    "cuBLASModule.allow_fp16_reduced_precision_reduction": lambda: setattr(
        torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", False
    ),
    "cuBLASModule.allow_bf16_reduced_precision_reduction": lambda: setattr(
        torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False
    ),
    "torch.backends.cudnn.enabled": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "torch.backends.cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "torch.backends.cudnn.deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "torch.backends.mkldnn.enabled": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "torch.backends.mkldnn.deterministic": lambda: setattr(torch.backends.mkldnn, "deterministic", True),
}


@pytest.fixture(autouse=True)
def _somewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # As in a new process of multiprocessing: another list than the one that was there when modules were imported.
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_what_a_block_changes_is_as_it_was_after_it(state):
    before = state.get()
    with preserved():
        CHANGES[state.name]()
        changed = state.get()
    assert changed != before, "the change shows"
    assert state.get() == before


def test_all_at_once_and_an_error_on_the_way_are_put_back_too():
    before = {state.name: state.get() for state in STATES}
    with pytest.raises(SystemExit), preserved():  # noqa: PT012
        for change in CHANGES.values():
            change()
        sys.exit(0)
    assert {state.name: state.get() for state in STATES} == before
    assert float(torch.full((1,), 1e-310, dtype=torch.float64) / 2) > 0


def older():
    torch.set_float32_matmul_precision("medium")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = False


def newer():
    torch.backends.fp32_precision = "tf32"
    torch.backends.mkldnn.conv.fp32_precision = "bf16"


@pytest.mark.parametrize("changes", [(older,), (newer,), (older, newer), (newer, older)])
def test_precisions_that_torch_finds_at_odds_are_put_back(changes):
    with preserved():
        for change in changes:
            change()
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    found = [torch.backends, torch.backends.cuda.matmul, torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv]
    assert [each.fp32_precision for each in found] == ["none"] * 4


def test_a_folder_that_was_deleted_meanwhile_hinders_nothing(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with preserved():
        os.chdir(tmp_path)


def test_beside_the_main_thread_signal_handlers_stay():
    # Python sets them in the main thread alone.
    errors = []

    def work():
        try:
            with preserved():
                torch.set_default_dtype(torch.float64)
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not errors
    assert torch.get_default_dtype() is torch.float32


def test_a_seed_sets_every_generator():
    drawn = []
    for _ in range(2):
        with seeded(2**31 - 1):
            drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002, S311
    assert drawn[0] == drawn[1]


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there the seeds of devices are set at once")
@pytest.mark.parametrize("within", [seeded, training.seeded])
def test_seeds_are_not_kept_for_devices_that_are_not_there(within):
    before = len(torch.cuda._queued_calls)
    with within(5 if within is seeded else np.int64(5)):
        drawn = torch.rand(3)
    assert len(torch.cuda._queued_calls) == before
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
