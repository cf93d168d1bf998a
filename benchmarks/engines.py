"""What engines cost and gain: overhead a step, speed-up of two workers, schedules against their lower bound.

    python -m benchmarks.engines [--suite quick] [--parts overhead schedules suite]

Synthetic steps that do nothing show the overhead. A suite runs once in one process with one thread, once in two
processes with one thread each, and once on a local Ray cluster of two workers; their `results.csv` must be the same. A
plan of 2,000 sleeping steps runs on two workers, and is simulated for 2, 8, 64 and 512.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from timeit import timeit

from benchmarks.idle import Idle
from benchmarks.machine import describe
from lrbench.engines import InProcess, Task, lower_bound, simulate
from lrbench.engines.cluster import Cluster
from lrbench.engines.processes import Processes
from lrbench.global_state import preserved

SCALE = 0.002
"""Seconds a unit of a synthetic step's cost."""


class Quiet:
    """Says nothing."""

    def started(self, task):
        pass

    def progress(self, task, fraction, note):
        pass

    def finished(self, done):
        pass

    def skipped(self, task, needed):
        pass

    def note(self, text):
        pass

    def stopping(self):
        return False


def leaderboard(models=20, seeds=5, attacks=18, scale=SCALE):
    """Give a plan like a leaderboard's: trainings, attacks on each, what is joined of them; 2,000 steps by default."""
    tasks = []
    for model in range(models):
        for seed in range(seeds):

            def named(kind, cost, own=f"{model}-{seed}"):
                return f"{kind}/{own}~{cost * scale}"

            train = named("train", 60 + 7 * model)
            attacked = [Task(named(f"attack-{i}", 1 + i), (train,), (1 + i) * scale) for i in range(attacks)]
            tasks += [Task(train, (), (60 + 7 * model) * scale), *attacked]
            tasks.append(Task(named("worst", 0.1), tuple(task.id for task in attacked), 0.1 * scale))
    return tasks


def timed(engine, tasks):
    started = time.perf_counter()
    engine.run(tasks, Idle, Quiet())
    return time.perf_counter() - started


ENGINES = {
    "one process beside this": lambda: Processes(1),
    "two processes": lambda: Processes(2),
    "Ray, two workers": lambda: Cluster(jobs=2),
}


def _put_back():
    with preserved():
        pass


def overhead(count=5000):
    tasks = [Task(f"{i}~0") for i in range(count)]
    print(f"overhead a step, in this process: {1000 * timed(InProcess(), tasks) / count:.3f} ms")
    with_state = timeit(_put_back, number=1000)
    print(f"putting global state back after a step: {with_state:.3f} ms")
    for name, engine in ENGINES.items():
        start = timed(engine(), tasks[:2])
        # What is loaded once is loaded now.
        seconds = timed(engine(), tasks) - timed(engine(), tasks[:2])
        print(f"overhead a step, {name}: {1000 * seconds / count:.3f} ms (and {start:.1f} s to start them)")


def schedules():
    tasks = leaderboard()
    for name in ("two processes", "Ray, two workers"):
        engine = ENGINES[name]
        start = timed(engine(), [Task("a~0"), Task("b~0")])
        taken = timed(engine(), tasks) - start
        bound = lower_bound(tasks, 2)
        print(f"{len(tasks)} steps on {name}: {taken:.1f} s, {taken / bound:.3f} of the lower bound, measured")
    for workers in (2, 8, 64, 512):
        ratio = simulate(tasks, workers) / lower_bound(tasks, workers)
        print(f"{len(tasks)} steps on {workers} workers: {ratio:.3f} of the lower bound, simulated")


RUNS = {"one": (), "two processes": ("--jobs", "2"), "Ray, two workers": ("--engine", "ray", "--jobs", "2")}


def suite(name):
    seconds, results = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, options in RUNS.items():
            out = Path(folder) / kind
            command = [sys.executable, "-m", "lrbench", "run", name, "--out", str(out), *options]
            started = time.perf_counter()
            one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=one_thread)  # noqa: S603
            seconds[kind] = time.perf_counter() - started
            results[kind] = (out / "results.csv").read_bytes()
    for kind in RUNS:
        same = "the same" if results[kind] == results["one"] else "DIFFERENT"
        ratio = seconds["one"] / seconds[kind]
        print(f"{name}, {kind}: {seconds[kind]:.1f} s, {ratio:.2f} times as fast as one; results.csv {same}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", default="quick")
    parts = {"overhead": overhead, "schedules": schedules, "suite": lambda: suite(given.suite)}
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    given = parser.parse_args()
    print(describe())
    for part in given.parts:
        parts[part]()


if __name__ == "__main__":
    main()
