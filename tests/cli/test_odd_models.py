"""Odd models through `register`, `run` and `evaluate`: right figures, or a line that says what is wrong."""

import importlib
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from support import brought

from lrbench.cli import main
from lrbench.leaderboard import Leaderboard
from lrbench.runner import register

SUITE = """\
name: odd
data: {name: digits, train: 60, test: 40}
training: {epochs: 1, batch_size: 30, learning_rate: 0.01}
threat_model: {eps: [8/255], samples: 20}
attacks: [fgsm, {name: square, queries: 2}]
diagnostics: {masking: false, variance_ratio: {layers: [net.3], k: [1]}}
"""

FILES = {
    "syntax": (b"def build(:\n", "build", "SyntaxError: "),
    "import": (b"import no_such_thing\n", "build", "No module named 'no_such_thing'"),
    "relative": (b"from . import parts\n", "build", "attempted relative import"),
    "name": (b"def build(num_classes, in_channels): ...\n", "biuld", "did you mean 'build'?"),
    "empty": (b"", "build", "has no function 'build'"),
    "latin": ("x = 'é'\n".encode("latin-1"), "build", "SyntaxError: "),
    "nul": (b"x = 1\0\n", "build", "SyntaxError: "),
    "leaves": (b"raise SystemExit(5)\n", "build", "SystemExit: 5"),
}
WEIGHTS = {
    "none.pt": (None, "no such file"),
    "folder.pt": ("folder", "no such file"),
    "other.safetensors": ({"0.weight": torch.zeros(3)}, "does not fit the model"),
    "cut.pt": ("cut", "cannot read weights"),
    "pickle.pt": ("pickle", "more than tensors"),
}


WITHOUT_GRADIENTS = {"numpy", "numpy-float64", "detached", "decision", "quantised", "numpy-of-its-input"}
WITHOUT_LAYERS = {
    "numpy-of-its-input",
    "scripted",
    "traced",
    "frozen-script",
    "function",
    "lambda",
    "decision",
    "buffers-alone",
}
UNTRAINABLE = WITHOUT_GRADIENTS | {"frozen-script", "without-requires-grad", "function", "lambda", "buffers-alone"}
UNTRAINABLE |= {"no-parameters"}


def left_out_of(name):
    without_layers = {("stable_rank", "")} if name in WITHOUT_LAYERS else set()
    return without_layers | ({("misclassification", "fgsm")} if name in WITHOUT_GRADIENTS else set())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("brought")
    shutil.copy(brought.__file__, folder / "brought.py")
    for name, (content, _, _) in FILES.items():
        (folder / f"{name}.py").write_bytes(content)
    (folder / "folder.pt").mkdir()
    save_file(WEIGHTS["other.safetensors"][0], folder / "other.safetensors")
    torch.save(brought.net().state_dict(), folder / "cut.pt")
    (folder / "cut.pt").write_bytes((folder / "cut.pt").read_bytes()[:-200])
    (folder / "pickle.pt").write_bytes(pickle.dumps(brought.net().state_dict()))
    return folder


@pytest.fixture(autouse=True)
def _inside(home, monkeypatch, tmp_path):
    """In the folder, with models called in this process alone, and no pictures: they are tested elsewhere."""
    monkeypatch.chdir(home)
    monkeypatch.setattr("lrbench.suite.project.PROJECT", tmp_path / "lrbench.yaml")
    monkeypatch.setattr(register, "PROJECT", tmp_path / "lrbench.yaml")
    monkeypatch.setattr(register, "called", lambda _: {})
    monkeypatch.setattr(importlib.import_module("lrbench.runner.session"), "write_views", lambda *_, **__: None)


def arch(name):
    return f"brought.py:{name.replace('-', '_')}"


def suite(models):
    path = register.PROJECT.parent / "odd.yaml"
    path.write_text(SUITE + yaml.safe_dump({"models": models}, sort_keys=False))
    return str(path)


def said(capsys):
    """What stands on standard error, but for which code is run and what that printed."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if not line.startswith(("lrbench: running ", "lrbench: its code printed"))]


def refuse(arguments, capsys):
    status = main(arguments)
    lines = said(capsys)
    assert status == 2, lines
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert len(lines[0]) < 600
    return lines[0]


def commands(spec):
    """Each command on one model: `register`, `run` and `evaluate`."""
    weights = ["--weights", spec["weights"]] if "weights" in spec else []
    plain = suite({"plain": {"arch": arch("plain")}})
    register.PROJECT.write_text(yaml.safe_dump({"models": {"odd": spec}}))
    yield ["evaluate", "odd", "--suite", plain, "--out", "memory:evaluate"]
    register.PROJECT.unlink()
    yield ["register", "odd", "--factory", spec["arch"], *weights]
    yield ["run", suite({"odd": spec}), "--out", "memory:run"]


@pytest.mark.parametrize("name", brought.REFUSED)
def test_what_is_no_model_is_refused_in_a_line(name, capsys):
    for arguments in commands({"arch": arch(name)}):
        assert brought.REFUSED[name][1] in refuse(arguments, capsys), arguments
    assert not register.PROJECT.exists()


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_of_models_is_refused_in_a_line(name, capsys):
    _, function, words = FILES[name]
    for arguments in commands({"arch": f"{name}.py:{function}"}):
        assert words in refuse(arguments, capsys), arguments


@pytest.mark.parametrize("name", WEIGHTS)
def test_what_are_no_weights_is_refused_in_a_line(name, capsys):
    for arguments in commands({"arch": arch("plain"), "weights": name}):
        assert WEIGHTS[name][1] in refuse(arguments, capsys), arguments


@pytest.mark.parametrize("name", [*brought.SAME, *brought.NEAR])
def test_what_is_a_model_is_registered(name, capsys):
    assert main(["register", "odd", "--factory", arch(name)]) == 0
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert "10 classes" in printed.out
    assert ("no gradient reaches its input" in printed.out) == (name in WITHOUT_GRADIENTS)
    assert ("nothing in it can be trained" in printed.out) == (name in UNTRAINABLE)
    assert ("no named layers" in printed.out) == (name in WITHOUT_LAYERS)
    assert ("random in evaluation mode" in printed.out) == (name == "random")
    assert list(yaml.safe_load(register.PROJECT.read_text())["models"]) == ["odd"]


def figures(out):
    rows = Leaderboard.load(out).results
    rows = rows[rows["seed"] == 0]
    return {
        (row.model, row.metric, row.attack): row.value
        for row in rows.itertuples()
        if row.metric in {"accuracy", "misclassification", "stable_rank"} and row.attack != "worst-case"
    }


@pytest.mark.slow
def test_those_that_do_the_same_have_the_same_figures(capsys):
    specs = {name: {"arch": arch(name), "train": False} for name in (*brought.SAME, *brought.NEAR)}
    assert main(["run", suite(specs), "--out", "memory:same"]) == 0
    lines = said(capsys)
    found = figures("memory:same")
    plain = {key[1:]: value for key, value in found.items() if key[0] == "plain"}
    assert len(plain) == 5
    for name in specs:
        own = {key[1:]: value for key, value in found.items() if key[0] == name}
        left_out = {key for key in plain if key not in own}
        assert left_out == left_out_of(name)
        assert any(line.startswith(f"lrbench: {name}: left out") for line in lines) == bool(left_out)
        if name in brought.SAME:
            own = {key: value for key, value in own.items() if name != "decision" or key[1] != "square"}
            assert own == pytest.approx({key: plain[key] for key in own}, rel=1e-4)


def test_those_that_can_be_trained_are(capsys):
    specs = {name: {"arch": arch(name)} for name in (*brought.SAME, *brought.NEAR)}
    assert "(_extra_state), so no training of it can be kept" in refuse(["run", suite(specs)], capsys)
    del specs["extra-state"]
    trained = Path(suite(specs))
    trained.write_text(re.sub("attacks: .*", "attacks: []", trained.read_text()))
    assert main(["run", str(trained), "--out", "memory:trained"]) == 0
    lines = said(capsys)
    as_it_is = {line.split(": ")[1] for line in lines if "nothing in it can be trained" in line}
    assert as_it_is == UNTRAINABLE


def test_each_kind_is_evaluated(capsys, request):
    names = ["function", "decision", "quantised"]
    if request.config.getoption("--every-model"):
        names = [name for name in (*brought.SAME, *brought.NEAR) if name != "extra-state"]
    plain = suite({"plain": {"arch": arch("plain")}})
    for name in names:
        status = main(["evaluate", arch(name), "--suite", plain, "--out", f"memory:evaluate-{name}"])
        assert status == 0, name
        assert f"memory:evaluate-{name}" in capsys.readouterr().out.replace("://", ":")
