"""A new user's way: from an empty folder to a report of their own model on the quick suite, beside ResNet-18."""

import subprocess
import sys
from pathlib import Path

import pytest

from lrbench.cli import main
from lrbench.suite import shipped_suites

MODEL = """\
from torch import nn


def build(num_classes: int, in_channels: int, hidden: int = 16) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 3, padding=1), nn.BatchNorm2d(hidden), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * hidden, num_classes),
    )
"""
LESS = {
    "seeds: [0, 1]": "seeds: [0]",
    "width: 16": "width: 4",
    "epochs: 14": "epochs: 2",
    "samples: 100": "samples: 20",
    "steps: 8, targets: 2, queries: 50": "steps: 3, targets: 1, queries: 5",
    "samples: 50, steps: 10, queries: 50": "samples: 20, steps: 4, queries: 10",
}
"""How the quick suite becomes one of seconds."""


def in_a_process(*arguments):
    """Do what a terminal does."""
    done = subprocess.run([sys.executable, "-m", "lrbench", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("size", ["less", pytest.param("whole", marks=pytest.mark.slow)])
def test_from_an_empty_folder_to_a_report(tmp_path, monkeypatch, capsys, size):
    monkeypatch.chdir(tmp_path)
    Path("my_models.py").write_text(MODEL)
    assert len(MODEL.splitlines()) <= 10
    if size == "less":
        text = shipped_suites()["quick"].read_text("utf-8")
        for old, new in LESS.items():
            assert old in text
            text = text.replace(old, new)
        Path("quick").write_text(text)

    def lrbench(*arguments):
        status, out, err = in_a_process(*arguments) if size == "whole" else (main([*arguments]), *capsys.readouterr())
        assert status == 0, err
        return out

    assert "added in lrbench.yaml" in lrbench("register", "my-net", "--factory", "my_models.py:build")
    out = lrbench("evaluate", "my-net", "--suite", "quick", "--beside", "resnet18")
    assert "Results in runs/quick-my-net" in out
    assert "held up" in out
    printed = lrbench("compare", "runs/quick-my-net:resnet18", "runs/quick-my-net:my-net")
    assert "autoattack" in printed
    assert "95 % interval" in printed
    lrbench("report", "runs/quick-my-net")
    page = Path("runs/quick-my-net/report.html").read_text("utf-8")
    assert "my-net" in page
    assert "vegaEmbed" in page
