"""Steps side by side in several processes: the same results as one after the other."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lrbench
from lrbench.cli import main
from lrbench.runner.execution import Execution

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: jobs
data: {name: digits, train: 150, test: 40}
models:
  net: {arch: "FACTORY:build"}
  lr: {extends: net, lr_layers: {"1": 4}}
  bad: {arch: "FACTORY:build", broken: true}
seeds: [0, 1]
training: {epochs: 2, batch_size: 50, warmup_accuracy: 0.0}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm, {name: pgd, steps: 2, surrogate: net}]
diagnostics: {masking: false}
"""
FACTORY = """\
import torch


class Net(torch.nn.Sequential):
    def __init__(self, classes, broken):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, classes))
        self.broken = broken

    def forward(self, x):
        if self.broken and self.training:
            raise ArithmeticError("broken")
        return super().forward(x)


def build(num_classes, in_channels, broken: bool = False):
    return Net(num_classes, broken)
"""

DYING = """

def die_once(marker):
    import os, pathlib, signal

    if not pathlib.Path(marker).exists():
        pathlib.Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""
"""Killed in the middle of a training, as by the kernel when memory runs out, the first time that it is taken."""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "mine.py").write_text(FACTORY)
    path = tmp_path / "jobs.yaml"
    path.write_text(SUITE.replace("FACTORY", str(tmp_path / "mine.py")))
    return path


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_two_jobs_give_the_bytes_of_one_and_failures_are_kept(suite, tmp_path, capsys, engine):
    assert main(["run", str(suite), "--out", str(tmp_path / "one")]) == 1
    assert main(["run", str(suite), "--out", str(tmp_path / "two"), "--jobs", "2", "--engine", engine]) == 1
    assert "train/bad/seed-0 failed: ArithmeticError: broken" in capsys.readouterr().out
    for name in ("results.csv", "leaderboard.md", "failures.json"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()
    assert (tmp_path / "two/steps/train/bad/seed-1/failure.txt").exists()


def descendants(process):
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False)
    for pid in map(int, found.stdout.split()):
        yield pid
        yield from descendants(pid)


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_killed_worker_costs_nothing(suite, tmp_path, capsys, engine):
    dead = tmp_path / "dead"
    (tmp_path / "mine.py").write_text(FACTORY.replace("raise ArithmeticError", f"die_once({str(dead)!r})  #") + DYING)
    dead.touch()
    whole = lrbench.run(suite, out=tmp_path / "whole")
    dead.unlink()
    out = tmp_path / "out"
    assert main(["run", str(suite), "--out", str(out), "--jobs", "2", "--engine", engine]) == 0
    assert dead.exists()
    assert "; again, in a new one: " in capsys.readouterr().out
    assert (out / "results.csv").read_text() == whole.results_csv()


@pytest.mark.parametrize("options", [["--jobs", "2"], pytest.param(["--jobs", "1"], marks=pytest.mark.slow)])
def test_nothing_continues_after_the_run_was_killed(suite, tmp_path, options):
    processes = 2 if options[1] == "1" else 1
    text = suite.read_text().replace("epochs: 2", f"processes: {processes}, epochs: 5000")
    suite.write_text(text.replace(", broken: true", ""))
    marker = tmp_path / "training"
    says = f"if self.training:\n            __import__('pathlib').Path({str(marker)!r}).touch()\n        "
    (tmp_path / "mine.py").write_text(FACTORY.replace("if self.broken", f"{says}if self.broken"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "lrbench", "run", str(suite), "--out", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 60
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [*descendants(process.pid)]
    assert len(left) >= 3
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if Path(f"/proc/{pid}").exists() and "Z" not in status(pid)]
        time.sleep(0.1)
    assert not left


def status(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize("jobs", ["0", "x", "-2"])
def test_numbers_of_jobs_that_are_none(jobs, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", "quick", "--jobs", jobs])
    assert caught.value.code == 2
    assert "from 1 to 256" in capsys.readouterr().err


@pytest.mark.parametrize(("allowed", "threads"), [("", 4), ("1", 1), ("16", 4), ("many", 4), ("0", 4)])
def test_a_step_has_its_share_of_the_cores_and_no_more_than_it_is_allowed(monkeypatch, allowed, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert Execution(jobs=2).threads == threads
