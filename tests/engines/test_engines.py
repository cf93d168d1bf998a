import sys
import time
from pathlib import Path

import pytest
from support.workers import Recorder, Toy

from lrbench.engines import InProcess, Task
from lrbench.engines.cluster import Cluster
from lrbench.engines.processes import Processes
from lrbench.errors import LrbenchError, UsageError

ENGINES = ["in-process", "processes", "ray"]


@pytest.fixture
def engine(request):
    if request.param == "ray":
        request.getfixturevalue("ray")
    return {"in-process": InProcess, "processes": lambda: Processes(2), "ray": Cluster}[request.param]


def run(engine, tasks, folder, **options):
    recorder = Recorder(**options)
    engine().run(tasks, Toy(folder), recorder)
    return recorder


def names(folder):
    return sorted(path.name.partition(".")[0] for path in folder.iterdir())


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_each_task_is_taken_once_after_those_it_needs_and_told_of(engine, tmp_path):
    tasks = [Task("a"), Task("b", ("a",)), Task("c", ("a",)), Task("d", ("b", "c"))]
    recorder = run(engine, tasks, tmp_path)
    assert names(tmp_path) == ["a", "b", "c", "d"]
    assert recorder.done == dict.fromkeys("abcd")
    for task in tasks:
        place = recorder.events.index(("finished", task.id))
        assert all(("finished", needed) in recorder.events[:place] for needed in task.needs)
        assert ("started", task.id) in recorder.events[:place]
    reported = [event for event in recorder.events if event[0] == "progress"]
    # From other processes word may come late.
    assert set(reported) <= {("progress", task.id, 0.5, "half way") for task in tasks}
    assert engine is not InProcess or len(reported) == 4


def test_ray_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'lrbench\[ray\]'"):
        Cluster()


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_a_failing_task_costs_only_those_that_need_it(engine, tmp_path):
    tasks = [Task("fails"), Task("later", ("fails",)), Task("last", ("later",)), Task("other")]
    recorder = run(engine, tasks, tmp_path)
    assert recorder.done == {"fails": "it fails", "other": None}
    assert recorder.lost == {"later": "fails", "last": "later"}
    assert names(tmp_path) == ["fails", "other"]


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_what_no_task_can_mend_ends_the_run(engine, tmp_path):
    with pytest.raises(LrbenchError, match="the folder is gone"):
        run(engine, [Task("fatal"), Task("later", ("fatal",))], tmp_path)
    assert names(tmp_path) == ["fatal"]


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_a_request_to_stop_is_heard_before_the_next_task(engine, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(engine, [Task("a"), Task("b", ("a",)), Task("c", ("b",))], tmp_path, stop_at="a")
    assert "c" not in names(tmp_path)


def test_on_a_cluster_what_is_about_to_end_is_not_cancelled(ray, tmp_path, monkeypatch):
    """Ray ends the process that cancels a task just as it ends: one round in a hundred did."""
    cancelled = []
    monkeypatch.setattr(ray, "cancel", lambda reference, **_: cancelled.append(reference))
    # A worker of Ray's that has just begun takes longer than one wait for its first task.
    monkeypatch.setattr("lrbench.engines.cluster.POLL_SECONDS", 20.0)
    with pytest.raises(KeyboardInterrupt):
        run(Cluster, [Task("a"), Task("b", ("a",))], tmp_path, stop_at="a")
    assert cancelled == []


def test_a_cluster_that_is_stopped_twice_cancels_all(monkeypatch):
    cancelled = []

    class Twice:
        def wait(self, *_, **__):
            raise KeyboardInterrupt

        def cancel(self, reference, **_):
            cancelled.append(reference)

    cluster = Cluster.__new__(Cluster)
    monkeypatch.setattr(cluster, "ray", Twice(), raising=False)
    with pytest.raises(KeyboardInterrupt):
        cluster._end(["a", "b"])
    assert cancelled == ["a", "b"]


def test_nothing_is_said_of_processes_that_were_ended_together_with_the_run(tmp_path):
    class Ended(Recorder):
        """Is asked to stop by what ends the processes, and so just afterwards."""

        def stopping(self):
            found = [*tmp_path.glob("dies*")]
            while found and Path(f"/proc/{found[0].name.split('.')[1]}").exists():
                time.sleep(0.01)
            return bool(found)

    recorder = Ended()
    with pytest.raises(KeyboardInterrupt):
        Processes(1).run([Task("dies-2"), Task("later")], Toy(tmp_path), recorder)
    assert recorder.notes == []
    assert recorder.events == [("started", "dies-2")]


@pytest.mark.parametrize("engine", ENGINES[1:], indirect=True)
def test_running_tasks_end_their_batch_when_asked_to_stop(engine, tmp_path):
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(engine, [Task("long-1"), Task("long-2")], tmp_path, stop_at="long-1")
    assert time.monotonic() - started < 19, "a long task takes 20 s"


@pytest.mark.parametrize("engine", ENGINES[1:], indirect=True)
def test_a_task_whose_process_dies_is_tried_again_and_the_others_are_not_lost(engine, tmp_path):
    recorder = run(engine, [Task("dies-2"), Task("later", ("dies-2",)), Task("other")], tmp_path)
    assert recorder.done == {"dies-2": None, "later": None, "other": None}
    assert names(tmp_path).count("dies-2") == 2
    assert recorder.notes == ["a process was killed by signal 9 (SIGKILL); again, in a new one: dies-2"]


def test_a_task_whose_place_on_a_cluster_is_lost_is_taken_again_on_another(ray, tmp_path):  # noqa: ARG001
    recorder = run(Cluster, [Task("loses"), Task("later", ("loses",))], tmp_path)
    assert recorder.done == {"loses": None, "later": None}
    assert names(tmp_path).count("loses") == 2
    assert recorder.notes == ["a process was lost with its place on the cluster; again, in a new one: loses"]


@pytest.mark.parametrize("engine", ["processes", pytest.param("ray", marks=pytest.mark.slow)], indirect=True)
def test_two_processes_share_the_work(engine, tmp_path):
    run(engine, [Task(f"work-{i}-0.3") for i in range(6)], tmp_path)
    processes = {path.name.split(".")[-2] for path in tmp_path.iterdir()}
    assert len(processes) == 2
