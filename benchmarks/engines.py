"""What engines cost and gain: overhead a step, speed-up of two processes, schedules against their lower bound.

    python -m benchmarks.engines [--suite quick]

Synthetic steps that do nothing show the overhead. A suite runs once in one process with one thread and once in two with
one thread each; their `results.csv` must be the same. A plan of 2,000 sleeping steps runs on two workers,
and is simulated for 2, 8, 64 and 512.
"""

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe
from lrbench.engines import Done, Here, Task, lower_bound, simulate
from lrbench.engines.processes import Processes

SCALE = 0.002
"""Seconds a unit of a synthetic step's cost."""


class Idle:
    """Sleeps as long as a task's name says."""

    def take(self, task, tell, stop):  # noqa: ARG002
        seconds = float(task.rpartition("~")[2])
        time.sleep(seconds)
        return Done(task, seconds)


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


def overhead(count=5000):
    tasks = [Task(f"{i}~0") for i in range(count)]
    print(f"overhead a step, in this process: {1000 * timed(Here(), tasks) / count:.3f} ms")
    start = timed(Processes(2), tasks[:2])
    print(f"overhead a step, two processes:   {1000 * (timed(Processes(2), tasks) - start) / count:.3f} ms "
          f"(and {start:.1f} s to start them)")  # fmt: skip


def schedules():
    tasks = leaderboard()
    start = timed(Processes(2), [Task("a~0"), Task("b~0")])
    taken = timed(Processes(2), tasks) - start
    print(f"{len(tasks)} steps on 2 processes: {taken / lower_bound(tasks, 2):.3f} of the lower bound, measured")
    for workers in (2, 8, 64, 512):
        ratio = simulate(tasks, workers) / lower_bound(tasks, workers)
        print(f"{len(tasks)} steps on {workers} workers: {ratio:.3f} of the lower bound, simulated")


def suite(name):
    seconds, results = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for jobs in (1, 2):
            out = Path(folder) / str(jobs)
            command = [sys.executable, "-m", "lrbench.cli", "run", name, "--out", str(out), "--jobs", str(jobs)]
            started = time.perf_counter()
            one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=one_thread)  # noqa: S603
            seconds[jobs] = time.perf_counter() - started
            results[jobs] = (out / "results.csv").read_bytes()
    same = "the same" if results[1] == results[2] else "DIFFERENT"
    ratio = seconds[1] / seconds[2]
    print(f"{name}: one job {seconds[1]:.1f} s, two {seconds[2]:.1f} s, {ratio:.2f} times as fast; results.csv {same}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", default="quick")
    given = parser.parse_args()
    print(describe())
    for part in (overhead, schedules, functools.partial(suite, given.suite)):
        part()


if __name__ == "__main__":
    main()
