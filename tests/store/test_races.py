"""Writers who come at the same moment, and writers who sleep past their lease."""

import pickle
import random
import threading
import time
import uuid
from contextlib import suppress
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from support.contending import processes, threads

from lrbench.errors import UsageError
from lrbench.store import Record, Store, StoreError, lease
from lrbench.store.write import read_file

ROUNDS = {"local": 40, "memory": 40, "s3": 8}
LONG_AGO = 10 * lease.STALE_SECONDS
SLEEPER = "process 1 on another since 2026-01-01 00:00:00"


@pytest.fixture
def locations(request, tmp_path):
    """Give a folder for each round."""
    if request.param == "s3":
        request.getfixturevalue("s3_server")
    roots = {"local": tmp_path, "memory": "memory://runs", "s3": "s3://runs"}
    rounds = request.config.getoption("--rounds") or ROUNDS[request.param]
    return [f"{roots[request.param]}/{uuid.uuid4().hex}" for _ in range(rounds)]


@pytest.fixture
def _slow(monkeypatch):
    """Give fsspec's memory the delays of a network, so that others come between any two operations."""
    delays = random.Random(0)  # noqa: S311

    def slowed(work):
        def wait_and_work(self, *given, **options):
            time.sleep(delays.uniform(0, 0.004))
            return work(self, *given, **options)

        return wait_and_work

    for name in ("cat_file", "pipe_file", "ls", "_rm"):
        monkeypatch.setattr(MemoryFileSystem, name, slowed(getattr(MemoryFileSystem, name)))


def asleep(location, monkeypatch, *, for_good=True):
    """Hold a location as somebody does who took it long ago and sleeps since, for good or until the next renewal."""
    store, now = Store(location), time.time
    holding = store.writing()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now() - LONG_AGO)
        patch.setattr(lease, "this_process", lambda: SLEEPER)
        if for_good:
            idle = SimpleNamespace(Thread=Mock, Event=threading.Event, Lock=threading.Lock)
            patch.setattr(lease, "threading", idle)
        holding.__enter__()
    return store, holding


@pytest.mark.parametrize("locations", ["local"], indirect=True)
@pytest.mark.parametrize("jobs", [16, pytest.param(3, marks=pytest.mark.slow)])
def test_jobs_of_an_array_that_begin_at_once_all_continue(locations, jobs):
    location, rounds = locations[0], max(300 // jobs, len(locations))
    with Store(location).writing():
        pass
    # One location again and again, as fast as it goes: how long they look at each other's locks is no time at all.
    assert processes([location] * rounds, [f"{job}-of-{jobs}" for job in range(jobs)]) == [jobs] * rounds


@pytest.mark.usefixtures("_slow")
@pytest.mark.parametrize("locations", ["memory"], indirect=True)
def test_jobs_of_an_array_that_begin_at_once_all_continue_in_an_object_store(locations):
    assert threads(locations, ["1-of-3", "2-of-3", "3-of-3"]) == [3] * len(locations)


@pytest.mark.parametrize("locations", ["local"], indirect=True)
@pytest.mark.parametrize("parts", [[None, None], [None, "1-of-2"], ["1-of-2", "1-of-2"]])
def test_of_two_who_do_not_go_together_exactly_one_continues(locations, parts):
    assert processes(locations, parts) == [1] * len(locations)


@pytest.mark.usefixtures("_slow")
@pytest.mark.parametrize("locations", ["memory"], indirect=True)
@pytest.mark.parametrize("parts", [[None, None], [None, "1-of-2"], ["1-of-2", "1-of-2"]])
def test_of_two_who_do_not_go_together_exactly_one_continues_in_an_object_store(locations, parts):
    assert threads(locations, parts) == [1] * len(locations)


@pytest.mark.turns("parts")
@pytest.mark.usefixtures("_slow")
@pytest.mark.parametrize(
    ("locations", "run"),
    [("memory", threads), pytest.param("s3", processes, marks=pytest.mark.slow)],
    indirect=["locations"],
)
@pytest.mark.parametrize("parts", [[None, None], [None, "1-of-2"]], ids=str)
def test_exactly_one_takes_a_stale_lease(locations, run, parts, monkeypatch):
    # Kept: what is left lying would be given back.
    sleepers = [asleep(location, monkeypatch) for location in locations]
    assert run(locations, parts) == [1] * len(sleepers)


@pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)
@pytest.mark.parametrize("part", [None, "1-of-2"])
class TestSleeper:
    def test_one_who_wakes_past_its_lease_writes_nothing_and_leaves_the_others_lease(self, location, part, monkeypatch):
        sleeper, sleeping = asleep(location, monkeypatch)
        with Store(location).writing(part):
            for write in (lambda: sleeper.write("results.csv", "old"), lambda: sleeper.save_failure("train/a", "old")):
                with pytest.raises(StoreError, match=r"was taken over by process .*; it writes no more"):
                    write()
            sleeping.__exit__(None, None, None)
            with pytest.raises(UsageError, match="another run is writing"), Store(location).writing():
                pass
        assert not (sleeper.root / "results.csv").exists()
        assert not (sleeper.root / "steps").exists()

    def test_its_renewal_does_not_bring_it_back_and_it_learns_of_it(self, location, part, monkeypatch):
        monkeypatch.setattr(lease, "RENEW_SECONDS", 0.5)
        monkeypatch.setattr(lease, "LOOK_SECONDS", 0.5)
        sleeper, sleeping = asleep(location, monkeypatch, for_good=False)
        with Store(location).writing(part):
            time.sleep(1.5)
            with pytest.raises(UsageError, match="another run is writing") as caught, Store(location).writing():
                pass
            assert SLEEPER not in str(caught.value)
            with pytest.raises(StoreError, match="was taken over"):
                sleeper.check_held()
            sleeping.__exit__(None, None, None)


STEP = "train/net/seed-0"
WRITES = {
    "table": lambda store, whose: store.write("results.csv", whose),
    "figure": lambda store, whose: store.write_bytes("figures/a.png", whose.encode()),
    "step": lambda store, whose: store.save(Record(STEP, whose, {}, 1.0), {"weights.bin": whose.encode()}),
    "failure": lambda store, whose: store.save_failure("train/lr/seed-0", whose),
    "unfinished": lambda store, whose: store.save_unfinished("train/lr/seed-0", "key", whose.encode()),
}


def contents(store):
    fs = store.root.fs
    return {path: fs.cat_file(path) for path in fs.find(store.root.path) if lease.LEASE not in path}


@pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)
class TestSleepBetweenAskingAndWriting:
    """What the lease alone cannot see: it was held when asked for, and taken over before the write was on its way."""

    @pytest.fixture
    def sleeper(self, location, monkeypatch):
        """A holder whom somebody takes over from just after it has asked for its lease, and writes everything."""
        store = Store(location)
        with store.writing():
            ask, others = store._held.check, []

            def ask_and_sleep(*, ask_store=ask, **how):
                ask_store(**how)
                if store.asleep and not others:
                    with monkeypatch.context() as patch:
                        patch.setattr(lease, "STALE_SECONDS", -1.0)
                        others.append(Store(location).writing())
                        others[0].__enter__()
                    for write in WRITES.values():
                        write(Store(location), "theirs")
                    store.theirs = contents(store)

            store.asleep = False
            monkeypatch.setattr(store._held, "check", ask_and_sleep)
            yield store
            for other in others:
                other.__exit__(None, None, None)

    @pytest.mark.turns("before")
    @pytest.mark.parametrize("before", [True, False])
    @pytest.mark.parametrize("what", WRITES)
    def test_it_overwrites_nothing(self, sleeper, what, before):
        if before:
            WRITES[what](sleeper, "before")
        sleeper.asleep = True
        with pytest.raises(StoreError, match="was taken over"):
            WRITES[what](sleeper, "old")
        assert contents(sleeper) == sleeper.theirs

    def test_it_removes_nothing(self, sleeper):
        sleeper.write("results.csv", "before")
        sleeper.asleep = True
        with pytest.raises(StoreError, match="was taken over"):
            sleeper.remove("results.csv")
        assert contents(sleeper) == sleeper.theirs


@pytest.mark.usefixtures("_slow")
@pytest.mark.parametrize("locations", ["memory", pytest.param("s3", marks=pytest.mark.slow)], indirect=True)
def test_whatever_a_sleeper_writes_when_it_wakes_the_new_owner_has_the_last_word(locations, monkeypatch):
    for location in locations:
        sleeper, _ = asleep(location, monkeypatch)
        sleeper.root.fs.pipe_file((sleeper.root / "results.csv").path, b"before")

        def wake(sleeper=sleeper):
            with suppress(StoreError):
                sleeper.write("results.csv", "old")

        waking = threading.Thread(target=wake)
        waking.start()
        with Store(location).writing():
            Store(location).write("results.csv", "theirs")
            waking.join()
        assert read_file(sleeper.root / "results.csv") == b"theirs"


@pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)
def test_one_who_wakes_and_finds_its_lease_continues(location, monkeypatch):
    sleeper, sleeping = asleep(location, monkeypatch)
    sleeper.write("results.csv", "mine")
    sleeping.__exit__(None, None, None)
    assert read_file(sleeper.root / "results.csv") == b"mine"
    with Store(location).writing() as before:
        assert before is None


@pytest.mark.turns("part")
@pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)
@pytest.mark.parametrize("part", [None, "1-of-2"])
def test_who_writes_for_a_holder_writes_while_it_holds_and_no_longer(location, part, monkeypatch):
    holder = Store(location)
    with holder.writing(part):
        worker = Store(location, pickle.loads(pickle.dumps(holder.hold)))  # noqa: S301
        worker.write("results.csv", "mine")
        with monkeypatch.context() as patch:
            patch.setattr(lease, "STALE_SECONDS", -1.0)
            other = Store(location).writing()
            other.__enter__()
        with pytest.raises(StoreError, match="was taken over"):
            worker.write("results.csv", "old")
        other.__exit__(None, None, None)
    assert read_file(worker.root / "results.csv") == b"mine"


@pytest.mark.usefixtures("s3_server")
def test_a_holder_whose_store_does_not_answer_stops_at_its_next_write(monkeypatch):
    store = Store(f"s3://runs/{uuid.uuid4().hex}")
    with store.writing():
        monkeypatch.setattr(store.root.fs, "ls", lambda *_a, **_o: (_ for _ in ()).throw(TimeoutError("away")))
        with pytest.raises(StoreError, match=r"cannot write .*: away"):
            store.write("results.csv", "")
        monkeypatch.undo()
