"""Models that bring their own weights, give no gradients, or give more than logits, from the command to the board."""

import importlib

import pytest
import torch
import yaml

import lrbench
from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard import Leaderboard
from lrbench.runner import register

FILE = """\
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestCentroid
from torch import nn

digits = load_digits()
forest = NearestCentroid().fit(digits.data / 16, digits.target)


def trained():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        centres = torch.tensor(forest.centroids_, dtype=torch.float32)
        net[1].weight.copy_(2 * centres)
        net[1].bias.copy_(-centres.square().sum(dim=1))
    return net


def classifier():
    def decide(x):
        found = forest.predict(x.detach().flatten(1).numpy())
        return nn.functional.one_hot(torch.as_tensor(found), 10).float()

    return decide


class Auxiliary(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.more = nn.Flatten(), nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, x):
        z = self.body(x)
        return {"logits": self.head(z), "aux": self.more(z)} if self.training else self.head(z)


def auxiliary():
    return Auxiliary()
"""
SUITE = """\
name: own
data: {name: digits, train: 60, test: 100}
threat_model: {eps: [64/255], samples: 20}
attacks:
  - {name: pgd, steps: 5}
  - {name: square, queries: 100}
  - {name: hopskipjump, max_iter: 2, max_eval: 50, init_eval: 10}
  - {name: pgd, surrogate: net, steps: 5}
diagnostics: {masking: {samples: 10, steps: 2, queries: 4, draws: 2, unbounded: 2}, clusters: {layer: "0"}}
models:
  net: {arch: "own.py:trained", train: false, normalize: false}
  black-box: {arch: "own.py:classifier", normalize: false}
"""


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(FILE)
    (tmp_path / "own.yaml").write_text(SUITE)
    monkeypatch.setattr(register, "called", lambda _: {})
    monkeypatch.setattr(importlib.import_module("lrbench.runner.session"), "write_views", lambda *_, **__: None)


def value(board, model, metric, **columns):
    rows = board.results
    for name, wanted in {"model": model, "metric": metric, **columns}.items():
        rows = rows[rows[name] == wanted]
    (found,) = rows["value"]
    return found


def test_a_network_that_comes_trained_is_measured_as_it_is(capsys):
    assert main(["register", "net", "--factory", "own.py:trained", "--trained", "--no-normalize"]) == 0
    assert "on 200 test images" in capsys.readouterr().out
    assert yaml.safe_load(register.PROJECT.read_text())["models"]["net"]["train"] is False


@pytest.mark.parametrize("arch", ["resnet18", "torchvision:resnet18", "timm:resnet18"])
def test_what_comes_without_weights_is_not_measured_untrained(tmp_path, capsys, arch):
    (tmp_path / "own.yaml").write_text(f'name: a\ndata: digits\nmodels: {{net: {{arch: "{arch}", train: false}}}}\n')
    assert main(["run", "own.yaml"]) == 2
    assert f"`train: false` needs `weights`: {arch} comes without any" in capsys.readouterr().err


def test_a_function_without_gradients_is_asked_what_it_can_be_asked(capsys):
    assert main(["register", "black-box", "--factory", "own.py:classifier"]) == 0
    printed = capsys.readouterr().out
    assert "! nothing in it can be trained: suites evaluate it without training" in printed
    assert "! no gradient reaches its input: suites leave out attacks that need one" in printed
    line = (
        "lrbench: black-box: nothing in it can be trained, so it is evaluated without training; left out pgd, since no "
        "gradient of its outputs reaches its input; left out clusters, since it has no named layers\n"
    )
    assert main(["plan", "own.yaml", "--out", "out", "--all"]) == 0
    planned = capsys.readouterr()
    assert line in planned.err
    steps = {row.strip("│ ").split()[0] for row in planned.out.splitlines() if row.count("/") >= 2}
    assert "attack/black-box/seed-0/square/eps-64" in steps
    assert "attack/black-box/seed-0/hopskipjump/minimal" in steps
    assert "attack/black-box/seed-0/pgd-from-net/eps-64" in steps, "it is made on another model"
    assert not {step for step in steps if "black-box/seed-0/pgd/" in step or step.startswith("clusters/black-box")}
    board = lrbench.run("own.yaml", out="out")
    assert not board.failures
    assert value(board, "black-box", "accuracy") == value(board, "net", "accuracy"), "they decide alike"
    assert value(board, "black-box", "misclassification", attack="pgd-from-net") > 0.5
    assert board.suite["models"]["black-box"]["lacks"] == ["gradients", "layers"]
    text = (register.PROJECT.parent / "out" / "leaderboard.md").read_text()
    assert "LEFT OUT of black-box: pgd, since it has no gradients." in text
    assert "LEFT OUT of black-box: clusters, since it has no named layers." in text
    assert "LEFT OUT of net" not in text
    only_shown_again(board, capsys)


def only_shown_again(first, capsys):
    assert value(first, "net", "accuracy") > 0.85, "it comes trained"
    assert not (first.results["metric"] == "training_loss").any()
    again = lrbench.run("own.yaml", out="out")
    assert again.results.equals(first.results)
    assert main(["plan", "own.yaml", "--out", "out"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main(["plan", "out/suite.yaml", "--out", "out"]) == 0, "the suite as it ran says what was left out"
    printed = capsys.readouterr()
    assert "nothing to do" in printed.out
    assert "left out" not in printed.err
    assert Leaderboard.load("out").suite["models"]["net"]["lacks"] is None


def test_a_network_with_auxiliary_outputs_is_trained_on_its_logits(tmp_path, capsys):
    assert main(["register", "aux", "--factory", "own.py:auxiliary"]) == 0
    assert "  in training mode it gives a dict, of which the logits are taken\n" in capsys.readouterr().out
    (tmp_path / "own.yaml").write_text(
        'name: aux\ndata: {name: digits, train: 60, test: 100}\nmodels: {a: {arch: "own.py:auxiliary"}}\n'
        "training: {epochs: 3, batch_size: 20, learning_rate: 0.05}\n"
    )
    board = lrbench.run("own.yaml", out="out")
    assert not board.failures
    assert value(board, "a", "accuracy") > 0.5


def test_googlenet_gives_more_than_logits_in_training_mode(capsys):
    torch.manual_seed(0)
    assert main(["register", "g", "--factory", "torchvision:googlenet", "--shape", "3x32x32", "--classes", "4"]) == 0
    printed = capsys.readouterr()
    assert "in training mode it gives a GoogLeNetOutputs, of which the logits are taken" in printed.out
    assert printed.err == ""


def test_a_reentrant_checkpoint_is_trained_and_what_stops_its_gradient_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom torch.utils.checkpoint import checkpoint\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, classes):\n"
        "        super().__init__()\n"
        "        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n\n"
        "    def forward(self, x):\n"
        "        return checkpoint(self.net, x, use_reentrant=True)\n\n\n"
        "def build(num_classes, in_channels):\n    return Net(num_classes)\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ndata: {name: digits, train: 60, test: 30}\ntraining: {epochs: 1, batch_size: 30}\n"
        "threat_model: {eps: [8/255], samples: 10}\nattacks: [fgsm, {name: square, queries: 5}]\n"
        'diagnostics: {masking: false}\nmodels: {net: {arch: "net.py:build"}}\n'
    )
    assert main(["plan", "mine.yaml"]) == 0
    said = capsys.readouterr().err
    assert "nothing in it can be trained" not in said
    assert "left out fgsm, since no gradient of its outputs reaches its input (RuntimeError: " in said
    assert "use_reentrant" in said


def test_a_suite_is_a_path_or_a_name():
    with pytest.raises(UsageError, match="a suite is the path of a YAML file or the name of a shipped suite, got dict"):
        lrbench.run({"name": "mine"})
