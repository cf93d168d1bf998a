"""What a measurement ran on."""

import platform
from pathlib import Path

import torch

from lrbench.runner.environment import describe_environment


def describe(device: str = "cpu") -> str:
    """Give hardware and versions in a line."""
    found = describe_environment(torch.device(device))
    packages = found["packages"]
    return (
        f"{found['device_name']}, {found['cores']} cores, {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, torch {packages['torch']}, numpy {packages['numpy']}, "
        f"commit {found['commit']}"
    )


def peak_memory() -> float:
    """Largest resident size of this process so far, GiB; Linux only (getrusage's figure outlives a fork)."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024**2
    msg = "no VmHWM in /proc/self/status"
    raise RuntimeError(msg)
