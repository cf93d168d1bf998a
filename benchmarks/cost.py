"""How long a finished run would take on other workers, and a larger one like it.

    python -m benchmarks.cost RUN [--data-dir DIR] [--models 20] [--seeds 5] [--workers 1 8 64] [--speed 1]

RUN is the folder of a finished run with one job. Its steps, each as long as it took there (divided by `--speed`, where
a worker is so many times as fast), are dealt out to workers by the schedule that the engines use: the longest chain of
waiting work first. A larger run repeats the models and seeds of this one until there are as many as asked for.
"""

import argparse
from pathlib import Path

from benchmarks.machine import describe
from lrbench.engines import Task, lower_bound, simulate
from lrbench.leaderboard.text import duration
from lrbench.runner import Session


def measured(run, data_dir):
    """Give the run's steps and how long each took."""
    session = Session.open(Path(run) / "suite.yaml", out=run, data_dir=data_dir)
    records = {step.id: session.store.record(step.id) for step in session.plan}
    missing = [step for step, record in records.items() if record is None]
    if missing:
        raise SystemExit(f"{run} is not finished: {missing[0]} is missing")
    return session, {step: record.seconds for step, record in records.items()}


def larger(session, seconds, models, seeds, speed):
    """Repeat the run's models and seeds; steps of a copy need those of the same copy."""
    own = list(session.suite.models)
    copies = [(model, seed) for model in range(models) for seed in range(seeds)]
    tasks = []
    for model, seed in copies:
        name, number = own[model % len(own)], session.suite.seeds[seed % len(session.suite.seeds)]
        mine = [step for step in session.plan if (step.model, step.seed) == (name, number)]
        there = {step.id for step in mine}
        for step in mine:
            needs = tuple(f"{model}/{seed}/{need}" for need in step.needs if need in there)
            tasks.append(Task(f"{model}/{seed}/{step.id}", needs, seconds[step.id] / speed))
    return tasks


def table(name, tasks, workers):
    total = sum(task.cost for task in tasks)
    print(f"\n{name}: {len(tasks):,} steps, {duration(total)} of work\n")
    print("| workers | takes | work shared evenly, or the longest chain |\n| ---: | ---: | ---: |")
    for count in workers:
        print(f"| {count} | {duration(simulate(tasks, count))} | {duration(lower_bound(tasks, count))} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--data-dir")
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--speed", type=float, default=1.0)
    given = parser.parse_args()
    print(describe())
    session, seconds = measured(given.run, given.data_dir)
    suite = session.suite
    tasks = larger(session, seconds, len(suite.models), len(suite.seeds), given.speed)
    table(f"{suite.name} as it is, {len(suite.models)} models, {len(suite.seeds)} seeds", tasks, given.workers)
    tasks = larger(session, seconds, given.models, given.seeds, given.speed)
    table(f"{suite.name} with {given.models} models and {given.seeds} seeds", tasks, given.workers)


if __name__ == "__main__":
    main()
