"""Step 1: the tests that need a GPU."""

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.gpu.setting import Setting

ROOT = Path(__file__).resolve().parents[2]
OUTCOME = "(?P<outcome>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)"
LINE = re.compile(rf"^(?P<test>tests/\S+::.+?) {OUTCOME}\b", re.MULTILINE)
SPREAD = re.compile(rf"^\[gw\d+\] \[ *\d+%\] {OUTCOME} (?P<test>.+?) *$", re.MULTILINE)
"""What pytest says of a test where it has shared them out."""
PROCESSES = 8
TAIL = 3.0


def rows(setting: Setting) -> Iterator[tuple[str, Callable[[], dict]]]:
    """One row: how many passed, and what did not."""
    yield "pytest -m cuda", lambda: tested(setting)


def marked() -> list[str]:
    """Files with such tests; to collect all others takes longer than to run these, and needs more libraries."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if "mark.cuda" in file.read_text("utf-8")]


def tested(setting: Setting) -> dict:
    """Run them; those that were over when the time was count."""
    files = marked()
    if not files:
        return {"files": 0}
    command = [sys.executable, "-m", "pytest", "-m", "cuda", "-vv", "-p", "no:cacheprovider", "--durations", "10"]
    shared = importlib.util.find_spec("xdist") is not None and not setting.rehearse
    if shared:
        command += ["-n", str(PROCESSES), "--dist", "load"]
    log, late = setting.out / "tests.log", False
    with log.open("w", encoding="utf-8") as file:
        # What is set for this program, or for tests that call it, is no business of these.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "PYTORCH_NVML_BASED_CUDA_CHECK" and not name.startswith("PYTEST_")
        }
        process = subprocess.Popen(  # noqa: S603
            [*command, *files], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=environment
        )
        try:
            process.wait(max(1.0, setting.left() - TAIL))
        except subprocess.TimeoutExpired:
            late = True
            process.kill()
            process.wait()
    text = log.read_text("utf-8", errors="replace")
    outcomes = {found["test"]: found["outcome"] for found in (SPREAD if shared else LINE).finditer(text)}
    counts = Counter(outcomes.values())
    failed = [test for test, outcome in outcomes.items() if outcome in ("FAILED", "ERROR")]
    values = {
        "files": len(files),
        **{name.lower(): counts[name] for name in ("PASSED", "FAILED", "ERROR", "SKIPPED")},
        "exit code": "over its time" if late else process.returncode,
        "did not pass": "; ".join(failed),
        "last line": text.strip().splitlines()[-1] if text.strip() else "",
    }
    if values["exit code"] != 0:
        # What is known is kept; the row is no success.
        setting.tell(values)
        msg = f"pytest ended with {values['exit code']}: {values['last line']}"
        raise RuntimeError(msg)
    return values
