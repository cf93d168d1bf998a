"""Where a run happens: device, data folder, and what a reader needs to judge its timings."""

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from lrbench.engines.inside import NUMBER
from lrbench.errors import UsageError
from lrbench.training.determinism import CUBLAS_WORKSPACE

PACKAGES = ("lrbench", "torch", "torchvision", "numpy", "scikit-learn", "pandas", "adversarial-robustness-toolbox")
VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "PYTORCH_ALLOC_CONF", "TORCH_LOGS")


def pick_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps", in small letters or not, into a device that is there.

    Raises
    ------
    UsageError
        If there is no such device.
    """
    text = str(name).strip().lower()
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
        torch.empty(1, device=device).item()  # "meta" has no values
    except (RuntimeError, AssertionError, NotImplementedError):
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        msg = f"no device {name!r} here; valid: auto, {', '.join(there)}"
        raise UsageError(msg) from None
    return device


def own_device(device: torch.device) -> torch.device:
    """Give the GPU of this process where several work on a machine with several; else the device as it is."""
    if device.type != "cuda" or device.index is not None:
        return device
    own = torch.device("cuda", int(os.environ.get(NUMBER, "0")) % max(1, torch.cuda.device_count()))
    torch.cuda.set_device(own)
    return own


def data_folder(given: str | Path | None) -> Path:
    """Root of the data sets: the one given, else $LRBENCH_DATA, else the platform's cache folder."""
    return Path(given or os.environ.get("LRBENCH_DATA") or user_cache_path("lrbench"))


def describe_environment(device: torch.device, threads: int | None = None, jobs: int = 1) -> dict[str, Any]:
    """Hardware, versions and flags that a step is taken under; with `threads` of torch, this process' by default."""
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "torch_threads": torch.get_num_threads() if threads is None else threads,
        "jobs": jobs,
        "flags": _flags(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": packages(),
        "commit": _commit(),
    }


def packages() -> dict[str, str | None]:
    """Give the versions that are installed here of what results depend on."""
    return {name: _version(name) for name in PACKAGES}


def other_threads(done: Iterable[dict[str, Any]], now: dict[str, Any]) -> Iterator[str]:
    """Say if finished steps were taken with another number of threads than those to come will be."""
    before = sorted({each["torch_threads"] for each in done} - {now["torch_threads"]})
    if before:
        numbers = " and ".join(map(str, before))
        yield (
            f"what is done was taken with {numbers} threads, the rest will be with {now['torch_threads']}: "
            "a training differs by that as by its seed"
        )


def memory_bytes() -> int:
    """Size of this machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _flags() -> dict[str, Any]:
    """Give what changes results or speed without standing in the suite."""
    return {
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "cudnn": torch.backends.cudnn.version() if torch.cuda.is_available() else None,  # type: ignore[no-untyped-call]
        "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        # Deterministic steps set it where it is not set; what is said must not hang on whether one was taken yet.
        "environment": {"CUBLAS_WORKSPACE_CONFIG": CUBLAS_WORKSPACE}
        | {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@cache
def _commit() -> str | None:
    """Commit of the source tree that this package runs from; None for an installed one."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
