"""A network that knows more classes than the folder has: measured on these, by the outputs that are theirs."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import lrbench
from lrbench.cli import main
from lrbench.runner import Session

CLASSES = {"dark & deep": 17, "light": 3, "mid|dle $": 0}
LEVELS = {"dark & deep": 30, "light": 220, "mid|dle $": 120}

SUITE = """\
name: more
data: {name: image-folder, path: mine, outputs: {of: 20, classes: {"dark & deep": 17, light: 3, "mid|dle $": 0}}}
models:
  net: {arch: "FOLDER/nets.py:build", weights: FOLDER/w.safetensors, normalize: false}
threat_model: {eps: [2/255], samples: 6, batch_size: 6}
attacks: [fgsm, {name: apgd-ce, steps: 2}]
diagnostics:
  variance_ratio: {layers: [body], k: [1]}
  clusters: {layer: body}
  masking: {samples: 6, steps: 2, queries: 4, draws: 2, unbounded: 2}
"""

NETS = """\
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.body = nn.Sequential(nn.AvgPool2d(8), nn.Flatten())
        self.head = nn.Linear(3, num_classes)

    def forward(self, x):
        return self.head(self.body(x))

def build(num_classes: int, in_channels: int) -> nn.Module:
    return Net(num_classes)
"""


def weights():
    """A head of 20 outputs: the three that count tell the levels apart, the others would always win."""
    head = nn.Linear(3, 20)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(100.0)
        for name, output in CLASSES.items():
            level = LEVELS[name] / 255
            head.weight[output], head.bias[output] = 2 * level * 10 / 3, -(level**2) * 10
    return {"head.weight": head.weight.detach(), "head.bias": head.bias.detach()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    for part in ("train", "test"):
        for name, level in LEVELS.items():
            (tmp_path / "mine" / part / name).mkdir(parents=True)
            for number in range(4):
                pixels = noise.integers(level - 9, level + 9, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "mine" / part / name / f"{number}.png")
    (tmp_path / "nets.py").write_text(NETS)
    save_file(weights(), tmp_path / "w.safetensors")
    (tmp_path / "more.yaml").write_text(SUITE.replace("FOLDER", str(tmp_path)))
    return tmp_path


def test_such_a_network_is_measured_on_the_classes_that_are_there(folder):
    board = lrbench.run(folder / "more.yaml", out=folder / "out", data_dir=folder)
    rows = board.results
    assert rows[rows["metric"] == "accuracy"]["value"].tolist() == [1.0]
    assert rows[rows["metric"] == "robust_accuracy"]["value"].min() == 1.0
    assert {"dark & deep", "mid|dle $"} <= set(rows[rows["metric"] == "class_vr"]["class"])


def test_another_mapping_is_another_network(folder):
    suite = folder / "more.yaml"
    first = [step.key for step in Session.open(suite, out=folder / "out", data_dir=folder).plan]
    suite.write_text(suite.read_text().replace("light: 3", "light: 4"))
    second = [step.key for step in Session.open(suite, out=folder / "out", data_dir=folder).plan]
    assert not set(first) & set(second)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("light: 3", "light: 17", "data.outputs: classes 'dark & deep' and 'light' are both output 17"),
        ("light: 3, ", "", "data.outputs: class 'light' has no output"),
        ('{of: 20, classes: {"dark & deep": 17, light: 3, "mid|dle $": 0}}', "imagenet", "'dark & deep' is none"),
        ("of: 20", "of: 21", "does not fit the model"),
        (
            "of: 20",
            "of: imagnet",
            "data.outputs.of: should be the number of outputs, a list of their names, or imagenet, got 'imagnet'",
        ),
        (
            "of: 20",
            "of: true",
            "data.outputs.of: should be the number of outputs, a list of their names, or imagenet, got True",
        ),
        ("light: 3", "light: x", "class 'light' is to be 'x', but nothing says what the 20 outputs are called"),
        ("light: 3", "light: -3", "data.outputs.classes.light: should be the number of an output, from 0, or its name"),
        ("{of: 20, ", "{", "how many outputs networks have is left open, and no model has weights that say so"),
        ("of: 20", "off_: 20", "did you mean 'of'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_said_before_anything_runs(folder, capsys, before, after, words):
    text = (folder / "more.yaml").read_text()
    assert before in text
    (folder / "more.yaml").write_text(text.replace(before, after))
    assert main(["run", "more.yaml", "--data-dir", str(folder), "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) <= 3
    assert not (folder / "out").exists()
