"""The measurement on a CUDA machine, rehearsed: whatever ends it, what there was stays, and the rest is made later."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu import child, cuda_tests
from benchmarks.gpu.plan import STEPS
from benchmarks.gpu.record import ENDED, Record, as_markdown
from benchmarks.gpu.setting import Setting

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60


def begin(out, *more):
    command = [sys.executable, "-m", "benchmarks.gpu", "--rehearse", "--out", str(out), *more]
    environment = os.environ | {"TMPDIR": str(out.parent), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def rows_of(out):
    return [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]


def made(rows, step):
    return [row["row"] for row in rows if row["step"] == step and row["status"] in ("ok", "left out")]


@pytest.fixture(scope="module", params=[pytest.param(each, marks=pytest.mark.slow) for each in ("three", "all")])
def steps(request):
    """Of a rehearsal, whose whole takes half a minute."""
    return list(STEPS) if request.param == "all" else ["throughput", "attacks", "robust"]


@pytest.fixture(scope="module")
def killed(steps, tmp_path_factory):
    """A rehearsal that was killed at a random moment after its first step, and what was in its record then."""
    out = tmp_path_factory.mktemp("gpu") / "out"
    process = begin(out, "--only", *steps)
    while not (out / "table.md").exists() or " s; commit " not in (out / "table.md").read_text("utf-8"):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(random.Random(7).uniform(0.2, 5))  # noqa: S311
    process.send_signal(signal.SIGKILL)
    process.wait()
    return out, rows_of(out), (out / "table.md").read_text("utf-8")


@pytest.fixture(scope="module")
def again(killed, steps):
    """The same, called once more."""
    out, _, _ = killed
    start = time.monotonic()
    process = begin(out, "--only", *steps)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return rows_of(out), said, time.monotonic() - start


def test_a_killed_measurement_leaves_a_readable_record(killed, steps):
    out, rows, table = killed
    assert rows
    assert {row["step"] for row in rows} < {"machine", *steps}
    assert table in (as_markdown(rows), as_markdown(rows[:-1]))
    assert {file.name for file in out.iterdir()} <= {"results.jsonl", "table.md", "table.tmp", "tests.log"}


def test_the_next_call_makes_only_what_is_not_there(killed, again, steps):
    (_, before, _), (after, said, seconds) = killed, again
    assert seconds < SECONDS
    assert after[: len(before)] == before
    for step in steps:
        assert ENDED in made(after, step), said
        rows = made(after, step)
        assert len(rows) == len(set(rows)), step
    finished = [step for step in steps if ENDED in made(before, step)]
    assert finished
    assert all(f"{step}: there already" in said for step in finished)


def test_every_row_is_in_the_table(killed, again):
    out, (rows, _, _) = killed[0], again
    table = (out / "table.md").read_text("utf-8")
    assert not [row for row in rows if row["status"] in ("error", "lost", "over its time")]
    assert all(f"| {row['row']} |" in table for row in rows if row["row"] != ENDED)
    assert len(list(out.iterdir())) <= 8


def test_a_line_that_was_torn_is_left_alone(tmp_path):
    row = {"step": "tests", "row": "a", "status": "ok", "identity": {"commit": "1"}, "values": {"n": 1}}
    Record(tmp_path).add(row)
    with (tmp_path / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": "tests", "row": "b", "sta')
    record = Record(tmp_path)
    record.add(row | {"row": "c"})
    assert [each["row"] for each in Record(tmp_path).rows] == ["a", "c"]
    assert record.done("tests", {"commit": "1"}) == {"a", "c"}
    assert record.done("tests", {"commit": "2"}) == set()


def of_a_step(tmp_path, seconds, done=()):
    setting = Setting(
        "cpu", True, None, tmp_path, tmp_path, "1", deadline=time.monotonic() + seconds, done=set(done)
    )  # fmt: skip
    return [(kind, row) for kind, row, _ in child.run("support.gpu_step", setting, "fork")]


def test_what_fails_is_said_and_the_next_row_comes(tmp_path):
    said = of_a_step(tmp_path, 60, done={"kills itself", "sleeps"})
    assert said == [
        ("begun", "fails"), ("error", "fails"), ("begun", "works"), ("so far", "works"), ("ok", "works"),
        ("begun", "is late"), ("not now", "is late"), ("begun", "cannot"), ("left out", "cannot"), ("ended", None),
    ]  # fmt: skip


def test_a_process_that_is_lost_is_said_to_be(tmp_path):
    said = of_a_step(tmp_path, 60, done={"fails", "works", "is late", "cannot"})
    assert said == [("begun", "kills itself"), ("lost", None)]


def test_a_step_over_its_time_ends_with_all_that_it_began(tmp_path):
    start = time.monotonic()
    said = of_a_step(tmp_path, 2, done={"fails", "works", "is late", "cannot", "kills itself"})
    assert said == [("begun", "sleeps"), ("time", None)]
    assert time.monotonic() - start < 40, "it sleeps for 60 s"
    began = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{began}").exists() and "Z" not in Path(f"/proc/{began}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_random_images_are_refused(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path / "out"), "--data-dir", str(tmp_path)]
    ended = subprocess.run(
        command, check=False, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --data-dir must hold cifar10-jpeg")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_tests_that_were_not_run_or_failed_are_no_success(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(cuda_tests, "marked", lambda: ["tests/there_is_none.py"])
    setting = Setting("cpu", True, None, tmp_path, tmp_path, "x", time.monotonic() + 60, set(), told.append)
    with pytest.raises(RuntimeError, match="pytest ended with"):
        cuda_tests.tested(setting)
    assert told[0]["passed"] == 0
