"""A run that is killed in the middle of a training resumes from its last epoch and ends with the same weights."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from support.plain import FACTORY
from support.workers import dies

import lrbench
from lrbench.cli import main
from lrbench.store import Store

SUITE = """\
name: long
data: {name: digits, train: 500, test: 50}
models: {lr: {arch: resnet18, width: 4, lr_layers: {avgpool: 5}}}
training: {epochs: 6, batch_size: 50, learning_rate: 0.05, warmup_accuracy: 0.3, augment: {crop: 1}}
"""
SMALL = """\
name: small
data: {name: digits, train: 60, test: 20}
models:
  net: {arch: "FACTORY:build"}
training: {epochs: 1, batch_size: 50}
threat_model: {eps: [8/255], samples: 5}
attacks: [fgsm]
diagnostics: {masking: false}
"""
CODE = """\
import sys, lrbench.runner.train as train
train.SNAPSHOT_SECONDS = 0.0
import lrbench
lrbench.run(sys.argv[1], out=sys.argv[2])
"""


@pytest.mark.usefixtures("undrawn")
def test_sigkill_in_an_epoch_loses_no_finished_one(tmp_path):
    suite = tmp_path / "long.yaml"
    suite.write_text(SUITE)
    straight = lrbench.run(suite, out=tmp_path / "straight")
    out = tmp_path / "killed"
    kept = out / "steps/train/lr/seed-0/unfinished.bin"
    process = subprocess.Popen([sys.executable, "-c", CODE, str(suite), str(out)], env=os.environ)
    deadline = time.monotonic() + 120
    while not kept.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert kept.exists(), "killed after the first epoch and before the last"

    again = lrbench.run(suite, out=out)
    assert not kept.exists()
    weights = [
        load_file(folder / "steps/train/lr/seed-0/weights.safetensors") for folder in (tmp_path / "straight", out)
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all((tensor == weights[1][name]).all() for name, tensor in weights[0].items())
    assert again.results_csv() == straight.results_csv()


@pytest.mark.usefixtures("undrawn")
def test_a_training_begun_on_another_kind_of_device_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("lrbench.runner.train.SNAPSHOT_SECONDS", 0.0)
    suite, out, found = tmp_path / "long.yaml", tmp_path / "out", []
    suite.write_text(SUITE.replace("epochs: 6", "epochs: 2"))
    save = Store.save_unfinished
    monkeypatch.setattr(Store, "save_unfinished", lambda store, *kept: found.append(kept) or save(store, *kept))
    straight = lrbench.run(suite, out=tmp_path / "straight")
    ((step, key, content),) = found
    elsewhere = torch.load(io.BytesIO(content), weights_only=True)
    elsewhere["generator"] = elsewhere["generator"][:16]  # as long as a CUDA generator's state
    torch.save(elsewhere, buffer := io.BytesIO())
    store = Store(out, device="cuda")
    store.save_unfinished(step, key, buffer.getvalue())
    assert lrbench.run(suite, out=out).results_csv() == straight.results_csv()
    assert store.unfinished(step, key) == buffer.getvalue(), "there it is resumed"


def test_a_damaged_snapshot_counts_for_nothing(tmp_path):
    store = Store(tmp_path)
    store.save_unfinished("train/lr", "key", b"state\nwith lines")
    assert store.unfinished("train/lr", "key") == b"state\nwith lines"
    assert store.unfinished("train/lr", "another key") is None
    file = tmp_path / "steps/train/lr/unfinished.bin"
    file.write_bytes(file.read_bytes()[:-1])
    assert store.unfinished("train/lr", "key") is None
    file.write_bytes(b"")
    assert store.unfinished("train/lr", "key") is None
    assert store.unfinished("train/nothing", "key") is None


def test_the_process_that_makes_the_report_is_killed_and_the_next_run_makes_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(FACTORY)
    suite, out = tmp_path / "small.yaml", tmp_path / "run"
    suite.write_text(SMALL.replace("FACTORY", str(tmp_path / "mine.py")))
    with monkeypatch.context() as patch:
        patch.setattr("lrbench.leaderboard.report.report", dies)
        assert main(["run", str(suite), "--out", str(out), "--jobs", "2"]) == 1
    assert "the process that made the report died" in capsys.readouterr().err.splitlines()[-1]
    assert not (out / "report.html").exists()
    assert main(["run", str(suite), "--out", str(out)]) == 0
    assert (out / "report.html").exists()
