"""Steps that fail, and runs that are asked to stop: what was finished is kept, and the rest continues."""

import json
import os
import signal
import subprocess
import time

import pytest
from support.commands import COMMAND

import lrbench
from lrbench.cli import main
from lrbench.errors import Stopped
from lrbench.runner import Session
from lrbench.runner.interrupt import interruptible

FACTORY = """\
import os
import torch
from torchvision.models import resnet18


class Failing(torch.nn.Module):
    def __init__(self, classes, where):
        super().__init__()
        self.flat, self.fc, self.where = torch.nn.Flatten(), torch.nn.Linear(64, classes), where

    def forward(self, x):
        broken = not os.environ.get("MENDED")
        if self.where == "training" and self.training and broken:
            raise ArithmeticError("the second\\nof two lines")
        if self.where == "attack" and x.requires_grad and broken and not self.training:
            raise RuntimeError("no such luck")
        return self.fc(self.flat(x))


def build(num_classes, in_channels, where: str):
    return Failing(num_classes, where)
"""
SUITE = """\
name: partly
data: {name: digits, train: 100, test: 40}
models:
  good: {arch: "FACTORY:build", where: nowhere}
  bad: {arch: "FACTORY:build", where: training}
  odd: {arch: "FACTORY:build", where: attack}
  fine: {arch: "FACTORY:build", where: nowhere}
training: {epochs: 1, batch_size: 50}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm, square]
diagnostics: {masking: false}
"""


@pytest.fixture
def partly(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FACTORY)
    path = tmp_path / "partly.yaml"
    path.write_text(SUITE.replace("FACTORY", str(tmp_path / "mine.py")).replace("square", "{name: square, queries: 5}"))
    monkeypatch.delenv("MENDED", raising=False)
    return path


@pytest.mark.usefixtures("undrawn")
def test_one_of_four_models_failing_in_training_and_one_in_an_attack_leaves_the_others_whole(
    partly, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    assert main(["run", str(partly), "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    assert "train/bad/seed-0 failed: ArithmeticError: the second of two lines" in printed.out
    assert "MISSING: attack/odd/seed-0/fgsm/eps-8 failed: RuntimeError: no such luck" in " ".join(printed.out.split())
    failures = json.loads((out / "failures.json").read_text())
    causes = {step for step, reason in failures.items() if not reason.startswith("needs ")}
    assert causes == {"train/bad/seed-0", "attack/odd/seed-0/fgsm/eps-8"}
    assert "in forward" in (out / "steps/train/bad/seed-0/failure.txt").read_text()
    results = lrbench.Leaderboard.load(out).results
    for model in ("good", "fine"):
        assert set(results[results["model"] == model]["attack"]) == {"", "fgsm", "square", "worst-case"}
    assert set(results[results["model"] == "odd"]["attack"]) == {"", "square"}
    assert "bad" not in set(results["model"])
    assert main(["show", str(out)]) == 0
    assert "MISSING: train/bad/seed-0" in capsys.readouterr().out

    done = {step: (out / "steps" / step / "step.json").stat().st_mtime_ns for step in finished(partly, out)}
    monkeypatch.setenv("MENDED", "1")
    assert main(["run", str(partly), "--out", str(out)]) == 0
    assert not (out / "failures.json").exists()
    assert not list(out.rglob("failure.txt"))
    assert all((out / "steps" / step / "step.json").stat().st_mtime_ns == when for step, when in done.items())
    assert "MISSING" not in capsys.readouterr().out


def finished(suite, out):
    return [step for step, state in Session.open(suite, out).states.items() if state == "done"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_ends_after_the_batch_and_keeps_what_is_done(tmp_path, number):
    suite = tmp_path / "long.yaml"
    suite.write_text(
        "name: long\ndata: {name: digits, train: 1000, test: 40}\nmodels: {net: {arch: resnet18, width: 8}}\n"
        "seeds: [0, 1]\ntraining: {epochs: 4, batch_size: 50, learning_rate: 0.01}\n"
    )
    out = tmp_path / "out"
    command = [*COMMAND, "run", str(suite), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 120
    while not (out / "steps/train/net/seed-0/step.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    printed, complaints = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "stopping after the current batch" in printed
    assert "the same command resumes there" in complaints
    assert "Traceback" not in complaints
    assert "train/net/seed-0" in finished(suite, out)
    assert (out / "results.csv").exists()
    assert not [path for path in out.rglob(".*") if path.name != ".lock"]


@pytest.mark.parametrize(
    ("raised", "status"),
    [(KeyboardInterrupt(), 130), (Stopped(signal.SIGINT), 130), (Stopped(signal.SIGTERM), 143)],
    ids=repr,
)
def test_whatever_is_stopped_ends_as_a_shell_says_of_what_the_signal_ended(monkeypatch, capsys, raised, status):
    def stopped(_given):
        raise raised

    monkeypatch.setattr("lrbench.cli.views.suites_command", stopped)
    assert main(["suites"]) == status
    assert "the same command resumes there" in capsys.readouterr().err


def test_the_second_request_stops_at_once_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    announced = []
    with interruptible(announced.append) as interrupt:
        assert not interrupt.asked
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert len(announced) == 1
    assert signal.getsignal(signal.SIGINT) is before
