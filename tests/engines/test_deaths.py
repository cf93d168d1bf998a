"""Tasks that end their process, or hang: what is known is said, and no other task is blamed or lost."""

import os
import signal
import time

import pytest
from support.workers import Recorder, Toy

from lrbench.engines import Task
from lrbench.engines.cluster import Cluster
from lrbench.engines.death import how_it_ended
from lrbench.engines.processes import Processes
from lrbench.errors import LrbenchError

ENGINES = {
    "one": lambda **options: Processes(1, **options),
    "two": lambda **options: Processes(2, **options),
    "ray": Cluster,
}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name == "ray" else ()) for name in ENGINES])
def engine(request):
    if request.param == "ray":
        request.getfixturevalue("ray")
    return ENGINES[request.param]


def run(engine, tasks, folder):
    recorder = Recorder()
    engine.run(tasks, Toy(folder), recorder)
    return recorder


def tried(folder, task):
    return len(list(folder.glob(f"{task}.*")))


def test_a_task_that_ends_its_process_has_failed_and_the_others_are_done(engine, tmp_path):
    tasks = [Task("exits-3"), Task("exits-0"), Task("signal-11"), Task("later", ("exits-3",))]
    tasks += [Task(f"work-{i}-0.02") for i in range(6)]
    recorder = run(engine(), tasks, tmp_path)
    assert recorder.done == {
        "exits-3": "its process ended with status 3",
        "exits-0": "its process ended with status 0",
        "signal-11": "its process was killed by signal 11 (SIGSEGV)",
        **{f"work-{i}-0.02": None for i in range(6)},
    }
    assert recorder.lost == {"later": "exits-3"}
    assert all(tried(tmp_path, f"work-{i}-0.02") == 1 for i in range(6)), "none was lost along with another"
    assert "in take" in recorder.details["signal-11"], "where it was"


def test_what_code_of_others_leaves_behind_reaches_no_task_without_it(engine, tmp_path):
    odd, other, both = frozenset({"odd"}), frozenset({"other"}), frozenset({"odd", "other"})
    tasks = [Task("leaves-odd", external=odd), Task("work-odd-0.01", ("leaves-odd",), external=odd)]
    tasks += [Task(f"work-{i}-0.01", ("leaves-odd",)) for i in range(4)]
    tasks += [Task("leaves-other", ("leaves-odd",), external=other), Task("work-both-0.01", ("leaves-other",), 1, both)]
    tasks += [Task(f"work-other-{i}-0.01", ("leaves-other",), external=other) for i in range(4)]
    recorder = run(engine(), tasks, tmp_path)
    assert recorder.done == {task.id: None for task in tasks}
    may = {"left_odd": {"work-odd-0.01", "work-both-0.01"}}
    may["left_other"] = {"work-both-0.01", *(f"work-other-{i}-0.01" for i in range(4))}
    for path in tmp_path.glob("left_*"):
        left, _, task = path.name.partition(".seen-by.")
        assert task in may[left], "of another's code"


def test_a_process_is_used_again_for_the_same_code_of_others(tmp_path):
    tasks = [Task(f"work-{place}-0", external=frozenset({"ab"[place % 2]})) for place in range(8)]
    run(Processes(1), tasks, tmp_path)
    used = [path.name.split(".")[-2] for path in tmp_path.iterdir()]
    assert sorted(used.count(each) for each in set(used)) == [4, 4]


def test_what_a_task_forks_says_nothing_in_its_place(engine, tmp_path):
    recorder = run(engine(), [Task("forks"), Task("work-a-0.1"), Task("work-b-0.1")], tmp_path)
    assert recorder.done == {"forks": None, "work-a-0.1": None, "work-b-0.1": None}
    assert sorted(task for kind, task, *_ in recorder.events if kind == "finished") == sorted(recorder.done)


def test_a_task_whose_process_is_killed_again_and_again_has_failed(engine, tmp_path):
    recorder = run(engine(), [Task("dies-9"), Task("other")], tmp_path)
    reason = "its process was killed by signal 9 (SIGKILL), the last of 3 times (out of memory?)"
    assert recorder.done == {"dies-9": reason, "other": None}
    assert tried(tmp_path, "dies-9") == 3
    assert tried(tmp_path, "other") == 1


def test_a_task_that_takes_too_long_is_ended(engine, tmp_path):
    started = time.monotonic()
    recorder = run(engine(timeout=0.5), [Task("stuck"), Task("work-a-0.1"), Task("work-b-0.1")], tmp_path)
    assert time.monotonic() - started < 60, "it would be stuck for ever"
    reason = "its process took longer than --step-timeout 0.5 s and was ended"
    assert recorder.done == {"stuck": reason, "work-a-0.1": None, "work-b-0.1": None}
    assert tried(tmp_path, "stuck") == 1
    assert "in stuck" in recorder.details["stuck"], "where it hung"


def test_a_process_that_another_task_left_broken_is_not_blamed_on_the_next(tmp_path):
    tasks = [Task("poisons"), Task("work-a-0.3"), Task("work-b-0.01")]
    recorder = run(Processes(1), tasks, tmp_path)
    assert recorder.done == {"poisons": None, "work-a-0.3": None, "work-b-0.01": None}
    assert recorder.notes == ["a process ended with status 7; again, in a new one: work-a-0.3"]


def test_a_single_process_takes_tasks_in_the_order_given(tmp_path):
    tasks = [Task("a", cost=1), Task("b", cost=9), Task("c", ("a",), cost=99), Task("d", cost=5)]
    recorder = run(Processes(1), tasks, tmp_path)
    assert [task for event, task, *_ in recorder.events if event == "started"] == ["a", "b", "c", "d"]


class Absent:
    """Ends the process that would make a worker of it."""

    def __call__(self):
        os._exit(4)


class Broken:
    """Makes no worker."""

    def __call__(self):
        raise ZeroDivisionError


def test_a_process_that_cannot_begin_ends_the_run_and_no_task_is_blamed():
    with pytest.raises(LrbenchError, match="ended with status 4 before it could take one"):
        Processes(1).run([Task("a")], Absent(), Recorder())
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        Processes(1).run([Task("a")], Broken(), Recorder())


def test_what_a_task_prints_comes_as_notes(engine, tmp_path, capfd):
    recorder = run(engine(), [Task("prints-12")], tmp_path)
    lines = [f"prints-12 printed: line {i} \\x1b[2J" for i in range(5)]
    assert recorder.notes == [*lines, "prints-12 printed 7 lines more"]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (0, ("ended with status 0", False)),
        (255, ("ended with status 255", True)),
        (-signal.SIGSEGV, ("was killed by signal 11 (SIGSEGV)", False)),
        (-signal.SIGKILL, ("was killed by signal 9 (SIGKILL)", True)),
        (-99, ("was killed by signal 99", False)),
        (None, ("was lost", True)),
    ],
)
def test_how_a_process_ended_is_told_from_its_exit_code(code, how):
    assert how_it_ended(code) == how
