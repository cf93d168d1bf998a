"""Every record says what it was taken under, and a board made on several machines says so."""

import json

import pytest
import torch

import lrbench
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.published import publish
from lrbench.runner import Session
from lrbench.runner.reporter import Silent
from lrbench.runner.share import Share

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: machines
data: {name: digits, train: 60, test: 30}
models: {net: {arch: support.nets:staged, width: 4}, other: {arch: "support.nets:staged", width: 5}}
training: {epochs: 1, batch_size: 30}
"""


class Notes(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def two_machines(tmp_path, monkeypatch):
    """A run of which each model was trained and measured on a machine of its own, and what the second run said."""
    path = tmp_path / "machines.yaml"
    path.write_text(SUITE)
    said = []
    for model, cpu, threads in (("net", "an old one", 1), ("other", "a new one", 2), (None, "a laptop", 1)):
        monkeypatch.setattr("lrbench.runner.environment._processor", lambda cpu=cpu: cpu)
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        session, notes = Session.open(path, tmp_path / "out"), Notes()
        if model is None:
            session.run(notes)
        else:
            session.run_share(Share((f"*/{model}/*",)), notes)
        said.append(notes.notes)
    return tmp_path / "out", said


def test_each_record_keeps_the_environment_it_was_made_in(two_machines):
    run = Run.open(two_machines[0])
    for model, cpu in (("net", "an old one"), ("other", "a new one")):
        (found,) = run.environments(model)
        assert found["device_name"] == cpu
        assert found["packages"]["torch"] == lrbench.runner.environment._version("torch")
    head = json.loads((two_machines[0] / "environment.json").read_text())
    assert [head["device_name"], *(each["device_name"] for each in head["others"])] == ["an old one", "a new one"]


def test_what_is_published_names_the_machine_of_each_model(two_machines, tmp_path):
    publish(two_machines[0], tmp_path / "boards")
    for model, cpu in (("net", "an old one"), ("other", "a new one")):
        record = json.loads((tmp_path / f"boards/machines/records/{model}.json").read_text())
        assert [each["device_name"] for each in record["environments"]] == [cpu]


def test_a_run_that_continues_with_other_threads_says_so(two_machines):
    first, second, third = two_machines[1]
    warning = (
        "what is done was taken with 1 threads, the rest will be with 2: a training differs by that as by its seed"
    )
    assert warning in second
    assert not any("threads" in note for note in first + third)


def test_a_time_taken_beside_other_jobs_is_told_apart(tmp_path):
    path = tmp_path / "timed.yaml"
    path.write_text(SUITE + "diagnostics: {compression: {layer: avgpool, dim: 3}}\n")
    for jobs, metric in ((1, "seconds_per_image"), (2, "seconds_per_image_beside_others")):
        table = lrbench.run(path, tmp_path / f"out-{jobs}", jobs=jobs).results
        times = table[table["metric"].str.startswith("seconds")]
        assert set(times["metric"]) == {metric}
        assert set(times["part"]) == {"full", "compressed"}
        assert {each["jobs"] for each in Run.open(tmp_path / f"out-{jobs}").environments("net")} == {jobs}
