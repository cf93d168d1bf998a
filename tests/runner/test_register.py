import pytest
import torch
import yaml
from safetensors.torch import save_file

import lrbench
from lrbench.cli import main

FILE = """\
from torch import nn


def build(num_classes: int, in_channels: int, hidden: int = 8) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(16 * hidden, num_classes),
    )


def flat(num_classes, in_channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, num_classes), nn.Softmax(dim=1))


def broken(num_classes, in_channels):
    raise KeyError("nothing")
"""
SUITE = """\
name: little
data: {name: digits, train: 100, test: 40}
models:
  base: {arch: resnet18, width: 4}
training: {epochs: 1, batch_size: 50, warmup_accuracy: 0.0}
threat_model: {eps: [8/255], samples: 10}
attacks:
  - fgsm
  - {name: adaptive-lr, layer: avgpool, steps: 2}
  - {name: pgd, surrogate: base, steps: 2}
diagnostics:
  variance_ratio: {layers: [avgpool], k: [2]}
  embeddings: {layer: avgpool, dims: [20, 4]}
  masking: false
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "little.yaml").write_text(SUITE)
    return tmp_path


def test_a_registered_model_is_looked_over_and_kept(folder, capsys):
    assert main(["register", "my-net", "--factory", "mine.py:build", "--option", "hidden=6"]) == 0
    captured = capsys.readouterr()
    assert "running " in captured.err
    assert str(folder / "mine.py") in captured.err
    assert "it gives logits" in captured.out
    assert "gradients reach its input" in captured.out
    assert yaml.safe_load((folder / "lrbench.yaml").read_text()) == {
        "models": {"my-net": {"arch": "mine.py:build", "hidden": 6}}
    }
    assert main(["register", "other", "--factory", "mine.py:flat"]) == 0
    assert "! it gives probabilities" in capsys.readouterr().out
    assert main(["register", "my-net", "--factory", "mine.py:build"]) == 0
    assert "my-net replaced" in capsys.readouterr().out
    assert list(yaml.safe_load((folder / "lrbench.yaml").read_text())["models"]) == ["my-net", "other"]


def test_trained_weights_are_tried_on_the_data(folder, capsys):
    torch.manual_seed(0)
    namespace = {}
    exec(FILE, namespace)  # noqa: S102
    save_file(namespace["build"](10, 1).state_dict(), folder / "w.safetensors")
    assert main(["register", "my-net", "--factory", "mine.py:build", "--weights", "w.safetensors"]) == 0
    assert "on 200 test images, normalised by the data set's statistics" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--factory", "mine.py:biuld"], "did you mean 'build'"),
        (["--factory", "mine.py:broken"], "cannot be built or run on 1x8x8 images: KeyError: 'nothing' (mine.py, line"),
        (["--factory", "mine.py:build", "--option", "hiden=3"], "did you mean 'hidden'"),
        (["--factory", "mine.py:build", "--option", "hidden"], "expected KEY=VALUE"),
        (["--factory", "mine.py:flat", "--shape", "3x32x32"], "--data or --shape says what it is for"),
        (["--factory", "mine.py:build", "--shape", "3x32"], "expected CHANNELSxHEIGHTxWIDTH"),
        *(
            (["--factory", "mine.py:flat", "--shape", "1x8x8", "--classes", count], "from 2 to 100,000")
            for count in ("0", "1", "-3", "ten", "2.5", "", "²", "100001", "9" * 20)
        ),
        *(
            (["--factory", "mine.py:build", "--shape", shape], "expected CHANNELSxHEIGHTxWIDTH")
            for shape in (
                "",
                "x",
                "3",
                "3x32x32x1",
                "0x8x8",
                "3xx8",
                "3x8x²",
                "3 x 8 x 8",
                "1e1x8x8",
                "4096x4096x4096",
                "9" * 30,
                "a\nb",
            )
        ),
        (["--factory", "mine.py:build", "--weights", "none.pt"], "no such file: none.pt"),
        (["--factory", "mine.py:build", "--option", "arch=resnet18"], "the architecture is what --factory names"),
        (["--factory", "mine.py:build", "--data", "digit"], "did you mean 'digits'"),
        (["--factory", "mine.py:build", "--data", "quick"], "--data quick: that is a suite, whose data set is digits"),
        (["--factory", "mine.py:build", "--data", "npz"], "--data npz would need its path"),
        (["--factory", "mine.py:build", "--data", "image-folder"], "--data image-folder would need its path"),
    ],
)
def test_what_cannot_be_registered_is_a_line_and_writes_nothing(folder, capsys, arguments, message):
    before = sorted(path.name for path in folder.iterdir())
    assert main(["register", "my-net", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "running" not in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before


def test_a_suite_extends_a_registered_model(folder):
    assert main(["register", "my-net", "--factory", "mine.py:build"]) == 0
    (folder / "s.yaml").write_text(
        "name: s\ndata: {name: digits, train: 50, test: 20}\nmodels: {wide: {extends: my-net, hidden: 12}}\n"
        "training: {epochs: 1, warmup_accuracy: 0.0}\n"
    )
    board = lrbench.run("s.yaml", out="out")
    assert board.suite["models"]["wide"]["arch"] == "mine.py:build"
    assert board.suite["models"]["wide"]["hidden"] == 12


def test_a_faulty_project_file_is_a_line(folder, capsys):
    (folder / "lrbench.yaml").write_text("models:\n  a: {arhc: x}\n")
    assert main(["evaluate", "a", "--suite", "little.yaml"]) == 2
    assert "lrbench.yaml, line 2: models.a.arch" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_model_is_evaluated_beside_another_and_says_what_is_left_out(capsys):
    assert main(["register", "my-net", "--factory", "mine.py:build"]) == 0
    assert main(["evaluate", "my-net", "--suite", "little.yaml", "--beside", "base"]) == 0
    captured = capsys.readouterr()
    assert "left out adaptive-lr: not all models here have a layer avgpool" in captured.err
    assert "left out embeddings" in captured.err
    assert "Results in runs/little-my-net" in captured.out
    board = lrbench.Leaderboard.load("runs/little-my-net")
    assert set(board.models) == {"base", "my-net"}
    assert list(board.suite["models"]) == ["base", "my-net"], "the one beside it is the baseline"
    assert {attack["label"] for attack in board.suite["attacks"]} == {"fgsm", "pgd-from-base"}
    assert main(["compare", "runs/little-my-net:base", "runs/little-my-net:my-net"]) == 0
    assert "fgsm" in capsys.readouterr().out


def test_what_the_model_beside_starts_from_comes_along(folder, capsys):
    started = SUITE.replace("width: 4}", "width: 4, init_from: warm}\n  warm: {arch: resnet18, width: 4}")
    (folder / "little.yaml").write_text(started)
    assert main(["evaluate", "mine.py:build", "--suite", "little.yaml", "--beside", "base", "--out", "o"]) == 0
    assert list(lrbench.Leaderboard.load("o").suite["models"]) == ["base", "warm", "mine.py:build"]
    capsys.readouterr()


@pytest.mark.usefixtures("folder")
def test_alone_and_with_its_own_layer(capsys):
    assert main(["register", "my-net", "--factory", "mine.py:build"]) == 0
    assert main(["evaluate", "my-net", "--suite", "little.yaml", "--layer", "avgpool=3", "--out", "o"]) == 0
    err = capsys.readouterr().err
    assert "left out pgd: its surrogate base is not measured here; measure base beside it" in err.replace(
        "-from-base", ""
    )
    board = lrbench.Leaderboard.load("o")
    assert board.suite["diagnostics"]["embeddings"]["layer"] == "3"
    assert "adaptive-lr" in {attack["label"] for attack in board.suite["attacks"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "or register yours with `lrbench register`"),
        (["resnet18", "--beside", "bas"], "did you mean 'base'"),
        (["resnet18", "--layer", "avgpool"], "expected OLD=NEW"),
        (["mine.py:broken"], "cannot be built"),
    ],
)
def test_what_cannot_be_evaluated_is_a_line(folder, capsys, arguments, message):
    assert main(["evaluate", *arguments, "--suite", "little.yaml"]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "runs").exists()
