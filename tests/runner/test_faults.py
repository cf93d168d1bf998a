"""Faults put in on purpose: a full disk, damaged files. The run says so, and ends with the same results afterwards."""

import errno
import os
import random

import pytest

import lrbench
from lrbench.errors import LrbenchError
from lrbench.runner import Session
from lrbench.runner.reporter import Silent

FACTORY = """\
import torch


def build(num_classes, in_channels):
    hidden = [torch.nn.Linear(64, 16), torch.nn.ReLU()]
    return torch.nn.Sequential(torch.nn.Flatten(), *hidden, torch.nn.Linear(16, num_classes))
"""
SUITE = """\
name: small
data: {name: digits, train: 100, test: 40}
models:
  net: {arch: "FACTORY:build"}
  lr: {extends: net, lr_layers: {"2": 4}}
training: {epochs: 2, batch_size: 50, learning_rate: 0.05, warmup_accuracy: 0.0}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm, {name: deepfool, steps: 3}]
diagnostics:
  embeddings: {layer: "2", dims: [4]}
  clusters: {layer: "2", samples: 20}
  masking: {samples: 10, steps: 2, queries: 4, draws: 2, unbounded: 2}
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    (folder / "mine.py").write_text(FACTORY)
    path = folder / "small.yaml"
    path.write_text(SUITE.replace("FACTORY", str(folder / "mine.py")))
    return path


@pytest.fixture(scope="module")
def undisturbed(suite):
    lrbench.run(suite, out=suite.parent / "out")
    return suite.parent / "out"


def tables(folder):
    names = ("results.csv", "leaderboard.csv", "leaderboard.md", "masking.json")
    return {name: (folder / name).read_text() for name in names}


def left_over(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".") and path.name != ".lock"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))])
def test_a_disk_that_fills_at_any_write_costs_nothing_finished(suite, undisturbed, tmp_path, monkeypatch, seed):
    out = tmp_path / "out"
    allowed = random.Random(seed).randrange(1, 40)  # noqa: S311
    real, count = os.fsync, 0

    def full(descriptor):
        nonlocal count
        count += 1
        if count > allowed:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(LrbenchError, match="No space left on device; what was finished is kept"):
            lrbench.run(suite, out=out)
    assert not left_over(out)
    done = [step for step, state in Session.open(suite, out).states.items() if state == "done"]
    stamps = {step: (out / "steps" / step / "step.json").stat().st_mtime_ns for step in done}
    lrbench.run(suite, out=out)
    assert tables(out) == tables(undisturbed)
    assert all((out / "steps" / step / "step.json").stat().st_mtime_ns == stamp for step, stamp in stamps.items())
    assert not left_over(out)


class Recorder(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        if not text.startswith("running "):
            self.notes.append(text)


def test_a_writer_that_went_without_a_word_is_named(suite, undisturbed):
    (undisturbed / ".owner").write_text("process 1 on another since yesterday")
    recorder = Recorder()
    lrbench.run(suite, out=undisturbed, reporter=recorder)
    assert recorder.notes == ["resuming after process 1 on another since yesterday, which ended without finishing"]


def test_what_a_kill_in_the_middle_of_a_write_leaves_is_removed(suite, undisturbed):
    for folder in (undisturbed, undisturbed / "figures", undisturbed / "steps/train/net/seed-0"):
        (folder / ".results.csv.ab12.tmp").write_bytes(b"half")
    lrbench.run(suite, out=undisturbed)
    assert not left_over(undisturbed)


def truncated(content):
    return content[: len(content) // 2]


def emptied(_content):
    return b""


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("model", ["lr", pytest.param("net", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "harm", [truncated, *(pytest.param(harm, marks=pytest.mark.slow) for harm in (emptied, flipped))]
)
def test_a_damaged_file_is_found_named_and_made_again(suite, undisturbed, harm, model):
    before = tables(undisturbed)
    files = sorted(path for path in (undisturbed / "steps").glob(f"*/{model}/**/*") if path.is_file())
    assert len(files) > 10
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(harm(whole))
        session = Session.open(suite, undisturbed)
        states = session.states
        step = str(path.parent.relative_to(undisturbed / "steps"))
        assert states[step] == f"damaged: {path.name}"
        assert all(state == "done" for other, state in states.items() if other != step)
        recorder = Recorder()
        session.run(recorder)
        assert recorder.notes == [f"again, damaged: {path.name}: {step}"]
        assert tables(undisturbed) == before
        # What another attempt took is another time.
        if path.name not in {"step.json", "spent.safetensors"}:
            assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "harm", [truncated, *(pytest.param(harm, marks=pytest.mark.slow) for harm in (emptied, flipped))]
)
def test_damaged_tables_and_figures_are_made_again(suite, tmp_path, harm):
    # A run of its own: others here are not drawn.
    folder = tmp_path / "out"
    lrbench.run(suite, out=folder)
    before = tables(folder)
    pictures = {path: path.read_bytes() for path in (folder / "figures").iterdir()}
    spoilt = random.Random(0).choice(sorted(pictures))  # noqa: S311
    for path in [*(folder / name for name in before), spoilt]:
        path.write_bytes(harm(path.read_bytes()))
    lrbench.run(suite, out=folder)
    assert tables(folder) == before
    again = {path: path.read_bytes() for path in pictures if path.suffix == ".png"}
    assert [path.name for path, content in again.items() if pictures[path] != content] == []
