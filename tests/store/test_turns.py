"""Turns at a step: shares that overlap make nothing twice."""

import multiprocessing
import multiprocessing.dummy
import os
import signal

import pytest

from lrbench.engines import Done
from lrbench.runner.step import Step
from lrbench.runner.turns import InTurn
from lrbench.store import Record, Store, as_path, is_remote
from lrbench.store.turns import TURN, WAIT_SECONDS, turn

STEP = Step("train/net/seed-0", "train", "net", 0, {"seed": 0})


def stay(root, step, there, leave):
    with turn(root, step, lambda: None):
        there.set()
        leave.wait(60)


@pytest.fixture
def other(root):
    """Another share's process (in an object store a thread will do), at the step; what it is told to leave by."""
    kind = multiprocessing.dummy if is_remote(root) else multiprocessing.get_context("fork")
    there, leave = kind.Event(), kind.Event()
    root.mkdir(parents=True, exist_ok=True)
    at_it = kind.Process(target=stay, args=(root, STEP.id, there, leave))
    at_it.start()
    assert there.wait(60)
    yield leave
    leave.set()
    at_it.join(60)


class Counting:
    def __init__(self):
        self.taken = []

    def take(self, task, report, stop):  # noqa: ARG002
        self.taken.append(task)
        return Done(task, 1.0)


def take(store, stop=lambda: False, report=lambda *_: None):
    worker = Counting()
    return InTurn(worker, {STEP.id: STEP}, store).take(STEP.id, report, stop), worker.taken


@pytest.mark.parametrize("key", [STEP.key, "of an earlier form"])
def test_who_waited_takes_only_what_the_other_has_not_finished(location, other, key):
    store, waited = Store(location), []

    def report(*note):
        if not waited:
            Store(location).save(Record(STEP.id, key, {}, 7.0), {"weights.bin": b"1"})
            other.set()
        waited.append(note)

    with store.writing("1-of-1"):
        done, taken = take(store, report=report)
    assert waited
    if key == STEP.key:
        assert taken == []
        assert done == Done(STEP.id, 7.0, None, (f"{STEP.id} was taken by another share meanwhile",))
    else:
        assert taken == [STEP.id]


def test_who_waits_can_be_stopped(location, other):  # noqa: ARG001
    store = Store(location)
    with pytest.raises(KeyboardInterrupt), store.writing("1-of-1"):
        take(store, stop=lambda: True)


def test_other_steps_hinder_nobody_and_nobody_waits_who_holds_the_whole(location):
    store = Store(location)
    with store.writing("1-of-1"), turn(as_path(location), "train/other/seed-0", lambda: None):
        assert take(store)[1] == [STEP.id]
    with store.writing(), turn(as_path(location), STEP.id, lambda: None):
        assert take(store)[1] == [STEP.id]


def test_a_worker_elsewhere_knows_that_it_works_for_a_share(location):
    store = Store(location)
    with store.writing("1-of-1"):
        assert Store(location, store.hold).shared
    with store.writing():
        assert not Store(location, store.hold).shared


def test_a_killed_process_holds_no_turn(tmp_path):
    context = multiprocessing.get_context("fork")
    there = context.Event()
    at_it = context.Process(target=stay, args=(tmp_path, STEP.id, there, context.Event()))
    at_it.start()
    assert there.wait(60)
    os.kill(at_it.pid, signal.SIGKILL)
    at_it.join(60)
    with turn(tmp_path, STEP.id, lambda: pytest.fail(f"waits for the dead, {WAIT_SECONDS} s and more")):
        pass


@pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)
def test_the_whole_run_removes_what_turns_left(location):
    store = Store(location)
    with store.writing("1-of-1"):
        take(store)
    assert any(path.name.startswith(TURN) for path in store.root.iterdir())
    with store.writing():
        assert not any(path.name.startswith(TURN) for path in store.root.iterdir())
