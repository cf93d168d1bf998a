"""Step 0: what the others ran on."""

import platform
import subprocess
from collections.abc import Callable, Iterator

import torch

from benchmarks.gpu.setting import Setting
from benchmarks.gpu.timing import seconds_of
from lrbench.runner.environment import describe_environment

QUERY = ("name", "driver_version", "memory.total", "clocks.sm", "clocks.max.sm", "power.limit")


def rows(setting: Setting) -> Iterator[tuple[str, Callable[[], dict]]]:
    """Say what the machine is."""
    yield "machine", lambda: described(setting)


def described(setting: Setting) -> dict:
    """Card, driver, versions, and how fast it multiplies matrices."""
    found = describe_environment(setting.place)
    values = {
        "device": found["device_name"],
        "commit": found["commit"] or "unknown",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": found["flags"]["cudnn"],
        "cores": found["cores"],
    }
    side = 8192 if setting.cuda else 256
    a = torch.randn(side, side, device=setting.place, dtype=torch.bfloat16)
    seconds_of(lambda: a @ a, setting.device, 3)
    values["bfloat16 TFLOP/s"] = 2 * side**3 / seconds_of(lambda: a @ a, setting.device, 20) / 1e12
    return values | (_driver() if setting.cuda else {})


def _driver() -> dict:
    # Asked while the clock is still that of a card at work.
    command = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return {"nvidia-smi": f"{type(error).__name__}: {error}"}
    return dict(zip(QUERY, (part.strip() for part in answer.stdout.splitlines()[0].split(",")), strict=False))
