"""Where a run happens: device, data folder, and what a reader needs to judge its timings."""

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from lrbench.errors import UsageError

PACKAGES = ("lrbench", "torch", "torchvision", "numpy", "scikit-learn", "pandas", "adversarial-robustness-toolbox")
VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "PYTORCH_ALLOC_CONF", "TORCH_LOGS")


def pick_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps" into a device that is there.

    Raises
    ------
    UsageError
        If there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        msg = f"no device {name!r} here; valid: auto, {', '.join(there)}"
        raise UsageError(msg) from None
    return device


def data_folder(given: str | Path | None) -> Path:
    """Root of the data sets: the one given, else $LRBENCH_DATA, else the platform's cache folder."""
    return Path(given or os.environ.get("LRBENCH_DATA") or user_cache_path("lrbench"))


def describe_environment(device: torch.device) -> str:
    """Hardware, versions and flags as JSON."""
    content = {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "torch_threads": torch.get_num_threads(),
        "flags": _flags(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }
    return json.dumps(content, indent=2) + "\n"


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
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
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
