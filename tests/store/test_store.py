"""What a store promises, of a folder, of memory and of an S3-compatible server alike."""

import hashlib
import json
import os
import platform
import time
from dataclasses import asdict

import pytest

from lrbench.errors import UsageError
from lrbench.store import RECORD, Record, Store, StoreError, as_path, lease
from lrbench.store.chain import Chain, Entry
from lrbench.store.flock import OWNER

FILES = {"weights.bin": bytes(range(256)) * 100, "history.json": b"[]"}


def record(step="train/net/seed-0", key="abc"):
    return Record(step, key, {"seed": 0}, 1.5, [{"metric": "accuracy", "value": 0.5}])


@pytest.fixture
def store(location):
    return Store(location)


def test_a_saved_step_comes_back_whole(store):
    saved = store.save(record(), FILES)
    assert store.record("train/net/seed-0") == saved
    assert store.damaged(saved) is None
    for name, content in FILES.items():
        assert (store.folder("train/net/seed-0") / name).read_bytes() == content


def test_nothing_is_there_before_it_is_written(store):
    assert store.record("train/net/seed-0") is None
    assert not store.view().has_damaged_record("train/net/seed-0")
    assert store.unfinished("train/net/seed-0", "abc") is None
    store.remove("results.csv")


def test_a_second_save_replaces_the_first(store):
    store.save(record(), FILES)
    store.save(record(key="new"), {"weights.bin": b"other"})
    again = store.record("train/net/seed-0")
    assert again.key == "new"
    assert store.damaged(again) is None


@pytest.mark.parametrize(
    "harm", [lambda content: content[: len(content) // 2], lambda _: b"", lambda content: b"x" + content[1:]]
)
@pytest.mark.parametrize("name", [*FILES, RECORD])
def test_damage_is_found(store, name, harm):
    saved = store.save(record(), FILES)
    path = store.folder(saved.id) / name
    path.write_bytes(harm(path.read_bytes()))
    if name == RECORD:
        assert store.record(saved.id) is None
        assert store.view().has_damaged_record(saved.id)
    else:
        assert store.damaged(store.record(saved.id)) == name


def test_a_lost_file_is_found(store):
    saved = store.save(record(), FILES)
    (store.folder(saved.id) / "weights.bin").unlink()
    assert store.damaged(saved) == "weights.bin"


def test_how_far_a_step_came_is_kept_until_it_is_done(store):
    store.save_unfinished("train/net/seed-0", "abc", b"half")
    store.save_failure("train/net/seed-0", "Traceback")
    assert store.unfinished("train/net/seed-0", "abc") == b"half"
    assert store.unfinished("train/net/seed-0", "other") is None
    store.save(record(), FILES)
    assert store.unfinished("train/net/seed-0", "abc") is None
    assert not (store.folder("train/net/seed-0") / "failure.txt").exists()


def test_tables_are_written_and_removed(store, root):
    store.write("results.csv", "a,b\n")
    store.write_bytes("figures/a.png", b"png")
    assert (root / "results.csv").read_text() == "a,b\n"
    assert (root / "figures/a.png").read_bytes() == b"png"
    store.remove("results.csv")
    assert not (root / "results.csv").exists()


def test_one_writer_at_a_time(location):
    with Store(location).writing() as before:
        assert before is None
        with (
            pytest.raises(UsageError, match=f"another run is writing to .*process {os.getpid()}"),
            Store(location).writing(),
        ):
            pass
    with Store(location).writing() as before:
        assert before is None
    assert not (as_path(location) / OWNER).exists()


def test_parts_go_side_by_side_and_keep_the_whole_out(location):
    with Store(location).writing("1-of-2"), Store(location).writing("2-of-2"):
        for part in (None, "1-of-2"):
            with pytest.raises(UsageError, match="another run is writing"), Store(location).writing(part):
                pass
    with Store(location).writing(), pytest.raises(UsageError, match="another run"), Store(location).writing("1-of-2"):
        pass
    with Store(location).writing("1-of-2"):
        pass


@pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)
class TestLease:
    def leave(self, location, owner, seconds_ago):
        chain = Chain(as_path(location) / lease.LEASE)
        assert chain.add(0, Entry("held", owner, time.time() - seconds_ago, "theirs"))

    def test_one_that_was_not_renewed_holds_nobody_up(self, location):
        self.leave(location, "process 1 on another since yesterday", 2 * lease.STALE_SECONDS)
        with Store(location).writing() as before:
            assert before == "process 1 on another since yesterday"

    def test_one_that_was_renewed_does(self, location):
        self.leave(location, "process 1 on another since 2026-01-01 00:00:00", 1)
        with pytest.raises(UsageError, match="process 1 on another"), Store(location).writing():
            pass

    def test_a_process_of_this_machine_that_is_gone_holds_nobody_up(self, location):
        self.leave(location, f"process 4194303 on {platform.node()} since 2026-01-01 00:00:00", 1)
        with Store(location).writing() as before:
            assert before.startswith("process 4194303")

    def test_it_is_renewed(self, location, monkeypatch):
        monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
        with Store(location).writing():
            chain = Chain(as_path(location) / lease.LEASE)
            first = chain.number()
            deadline = time.monotonic() + 10
            while chain.number() < first + 3:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert chain.last()[1].state == "ended"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/run", "one of s3"),
        ("s3://", "expected a path"),
        ("s3://no-such-location-here\0/run", "s3://no-such"),
        ("memory:///", "expected a path"),
    ],
)
def test_a_url_that_is_none_is_refused_in_a_line(url, words):
    with pytest.raises(UsageError, match=words):
        as_path(url)


@pytest.mark.usefixtures("s3_server")
def test_a_bucket_that_is_not_there_is_a_users_fault():
    with pytest.raises(UsageError, match="cannot write to s3://nowhere/run"), Store("s3://nowhere/run").writing():
        pass
    with pytest.raises(StoreError, match="cannot write s3://nowhere"):
        Store("s3://nowhere/run").write("results.csv", "")


@pytest.mark.usefixtures("s3_server")
def test_a_server_that_does_not_answer_is_a_users_fault(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    import s3fs  # noqa: PLC0415

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(UsageError, match="s3://runs/x cannot be reached"):
        as_path("s3://runs/x")
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_record_is_sealed(store):
    store.save(record(), {})
    path = store.folder("train/net/seed-0") / RECORD
    content = json.loads(path.read_text())
    content["record"]["rows"][0]["value"] = 0.9
    path.write_bytes(json.dumps(content).encode())
    assert store.record("train/net/seed-0") is None


def test_a_record_of_an_earlier_version_counts_and_its_files_are_held_against_their_checksums(store):
    saved = store.save(record(), FILES)
    content = {key: value for key, value in asdict(saved).items() if key != "sizes"}
    sealed = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (store.folder(saved.id) / RECORD).write_bytes(json.dumps({"record": content, "sha256": sealed}).encode())
    view = store.view()
    assert view.damaged(view.record(saved.id)) is None
    (store.folder(saved.id) / "history.json").write_bytes(b"{}")
    assert store.view().damaged(view.record(saved.id)) == "history.json"


def test_a_view_finds_what_is_lost_or_cut_off_and_says_which_steps_there_are(store):
    saved = store.save(record(), FILES)
    store.save(record("train/lr/seed-0", "def"), {})
    assert {each.id for each in store.view().records()} == {"train/net/seed-0", "train/lr/seed-0"}
    assert store.view().damaged(saved) is None
    weights = store.folder(saved.id) / "weights.bin"
    weights.write_bytes(FILES["weights.bin"][:-1])
    assert store.view().damaged(saved) == "weights.bin"
    weights.unlink()
    assert store.view().damaged(saved) == "weights.bin"
