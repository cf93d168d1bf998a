"""A new user's way: from an empty folder to a report of their own model on the quick suite, beside ResNet-18."""

import subprocess
import sys
from pathlib import Path

MODEL = """\
from torch import nn


def build(num_classes: int, in_channels: int, hidden: int = 16) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 3, padding=1), nn.BatchNorm2d(hidden), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * hidden, num_classes),
    )
"""


def test_from_an_empty_folder_to_a_report(tmp_path):
    (tmp_path / "my_models.py").write_text(MODEL)
    assert len(MODEL.splitlines()) <= 10

    def lrbench(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "lrbench.cli", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "added in lrbench.yaml" in lrbench("register", "my-net", "--factory", "my_models.py:build")
    out = lrbench("evaluate", "my-net", "--suite", "quick", "--beside", "resnet18")
    assert "Results in runs/quick-my-net" in out
    assert "held up" in out
    told = lrbench("compare", "runs/quick-my-net:resnet18", "runs/quick-my-net:my-net")
    assert "autoattack" in told
    assert "95 % interval" in told
    lrbench("report", "runs/quick-my-net")
    page = Path(tmp_path / "runs/quick-my-net/report.html").read_text("utf-8")
    assert "my-net" in page
    assert "vegaEmbed" in page
