"""Kill a suite at random moments and resume it, to see whether the result is the undisturbed one.

    python -m benchmarks.kills [--suite quick] [--kills 30] [--seed 0] [--jobs 1]

Runs the suite once undisturbed; then, for each kill, starts it in a fresh folder, kills its process group with SIGKILL
at a moment drawn uniformly from the undisturbed run's length, and runs it again to its end. Compares `results.csv` byte
for byte, looks whether a step that was finished before the kill was taken again, and for temporary files left behind.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def start(run: list[str], out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "lrbench", "run", *run, "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)  # noqa: S603


def whole(run: list[str], out: Path) -> float:
    started = time.monotonic()
    process = start(run, out)
    _, complaints = process.communicate()
    if process.returncode:
        sys.exit(f"the run failed: {complaints.decode()}")
    return time.monotonic() - started


def stamps(out: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in out.rglob("step.json")}


def killed(run: list[str], out: Path, after: float, expected: bytes) -> list[str]:
    """Kill a fresh run after so many seconds, resume it, and say what is wrong."""
    process = start(run, out)
    time.sleep(after)
    finished = process.poll() is not None
    if not finished:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = stamps(out)
    whole(run, out)
    again = [path for path, when in done.items() if stamps(out).get(path) != when]
    left = [str(path) for path in out.rglob(".*") if path.name != ".lock"]
    left += [str(path) for path in out.rglob("unfinished.bin")]
    wrong = [f"taken again: {path}" for path in again] + [f"left over: {path}" for path in left]
    if (out / "results.csv").read_bytes() != expected:
        wrong.append("results.csv differs")
    print(f"killed after {after:6.1f} s with {len(done):3d} steps done: {'; '.join(wrong) or 'the same'}", flush=True)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--suite", default="quick")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", default="1")
    given = parser.parse_args()
    run = [given.suite, "--jobs", given.jobs]
    moments = random.Random(given.seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        length = whole(run, Path(folder) / "undisturbed")
        expected = (Path(folder) / "undisturbed" / "results.csv").read_bytes()
        print(f"undisturbed: {length:.1f} s")
        wrong = 0
        for number in range(given.kills):
            out = Path(folder) / f"killed-{number}"
            wrong += bool(killed(run, out, moments.uniform(0, length), expected))
    print(f"{given.kills - wrong} of {given.kills} ended as if nothing had happened")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
