"""Every command and snippet of the README and the docs runs.

Suites that take long are stood in for by small files of the same name in the working directory; commands that measure
or install are only asked whether they are there.
"""

import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import yaml
from safetensors.torch import save_file
from support.graphs import graph
from torch import nn

from lrbench.catalogue import ATTACKS, DATASETS, MEASURES, MODELS, REGULARIZERS
from lrbench.cli import main
from lrbench.cli.parser import make_parser
from lrbench.global_state import preserved
from lrbench.suite.document import parse
from lrbench.suite.load import load_suite

ROOT = Path(__file__).parents[2]
ONNX = find_spec("onnx") is not None and find_spec("onnx2torch") is not None
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

QUICK = """\
name: quick
data: {name: digits, train: 150, test: 40}
seeds: [0, 1]
models:
  resnet18: {arch: resnet18, width: 4}
  resnet18-1-lr: {extends: resnet18, lr_layers: {avgpool: 5}}
training: {epochs: 1, batch_size: 50, warmup_accuracy: 0.0}
threat_model: {space: normalized, eps: [8/255], samples: 10}
attacks: [iter-fsgm]
diagnostics: {masking: false}
"""


MINE = """\
name: mine
data: {name: digits, train: 150, test: 40}
models: {normal: {arch: resnet18, width: 4}}
training: {epochs: 1, batch_size: 50}
threat_model: {eps: [8/255], samples: 10}
attacks: [{name: autoattack, steps: 3, targets: 2, queries: 5}]
diagnostics: {masking: false}
"""


def snippets(language):
    found = []
    for page in PAGES:
        for number, match in enumerate(FENCE.finditer((ROOT / page).read_text("utf-8"))):
            if match[1] == language:
                found.append(pytest.param(match[2], id=f"{page}-{number}"))
    return found


def test_every_snippet_is_of_a_kind_that_is_run():
    kinds = {match[1] for page in PAGES for match in FENCE.finditer((ROOT / page).read_text("utf-8"))}
    assert kinds <= {"", "sh", "python", "yaml", "toml"}


@pytest.fixture(scope="module")
def small_runs(tmp_path_factory):
    """A folder with the runs, files and suites that the pages name."""
    folder = tmp_path_factory.mktemp("docs")
    models = next(m[2] for m in FENCE.finditer((ROOT / "docs/index.md").read_text()) if "my_models.py" in m[2])
    (folder / "my_models.py").write_text(models)
    namespace = {}
    exec(models, namespace)  # noqa: S102
    torch.manual_seed(0)
    save_file(namespace["build"](10, 1).state_dict(), folder / "trained.safetensors")
    if ONNX:
        import onnx  # noqa: PLC0415 - an extra

        onnx.save(graph(transB=1), folder / "net.onnx")
    for name in ("quick", "fashion-mnist", "cifar10-jpeg", "study", "study-late"):
        (folder / name).write_text(QUICK.replace("name: quick", f"name: {name}"))
    (folder / "paper").mkdir()
    for name in ("table1-figures1-5", "table1-figures1-5-short"):
        (folder / "paper" / name).write_text(QUICK.replace("name: quick", f"name: paper-{name}"))
    (folder / "mine.yaml").write_text(MINE)
    return folder


@pytest.fixture
def here(small_runs, monkeypatch):
    monkeypatch.chdir(small_runs)
    return small_runs


def commands(block):
    """Commands of a block, without comments; several on a line are parted by semicolons."""
    for line in block.splitlines():
        for command in " ".join(shlex.split(line, comments=True)).split(";"):
            if command.strip():
                yield shlex.split(line, comments=True) if ";" not in line else command.split()


def in_reading_order():
    for page in sorted(PAGES, key=lambda page: page != "docs/index.md"):
        for match in FENCE.finditer((ROOT / page).read_text("utf-8")):
            if match[1] == "sh":
                yield from commands(match[2])


@pytest.mark.slow
def test_commands_run_in_reading_order(here, capsys):
    for command in in_reading_order():
        check(command, here)
    capsys.readouterr()


def test_commands_are_understood(here):
    """Those of lrbench as they are written; what they do takes the test above."""
    parser, understood = make_parser(), 0
    for program, *arguments in in_reading_order():
        if program == "lrbench":
            assert parser.parse_args(arguments).command
            understood += 1
        else:
            check([program, *arguments], here)
    assert understood > 30


@cache
def help_of(module):
    """Give what a module says of its options."""
    printed = io.StringIO()
    with preserved(), redirect_stdout(printed), patch.object(sys, "argv", [module, "--help"]), suppress(SystemExit):
        runpy.run_module(module, run_name="__main__")
    return printed.getvalue()


def check(command, here):
    """Run a command of lrbench; of others, see that they are there."""
    program, *arguments = command
    if program == "lrbench":
        arguments = [str(here) if argument in {"DIR", "~/data"} else argument for argument in arguments]
        arguments = [argument.replace("s3://", "memory://") for argument in arguments]
        lacks = any(argument.endswith(".onnx") for argument in arguments) and not ONNX
        if "--address" in arguments or lacks:
            make_parser().parse_args(arguments)
        else:
            assert main(arguments) == 0, command
    elif program == "make":
        assert re.search(rf"^[\w ]*\b{arguments[0]}\b[\w ]*:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
    elif program == "python":
        assert arguments[0] == "-m"
        assert arguments[1].startswith("benchmarks.") or arguments[1] == "pytest", command
        options = re.findall(r"--[a-z-]+", " ".join(arguments[2:]))
        assert all(option in help_of(arguments[1]) for option in options), command
    elif program == "pip":
        extras = re.findall(r"lrbench\[(\w+)\]", " ".join(arguments))
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert arguments[0] == "install"
        assert all(extra in known for extra in extras), command
    elif program == "git":
        assert arguments[0] == "clone", command
        assert arguments[1].startswith("https://github.com/"), command
    else:
        pytest.fail(f"nobody knows how to check {command}")


@pytest.mark.parametrize("text", snippets("yaml"))
def test_yaml(text, here):
    if not (here / "lrbench.yaml").exists():
        (here / "lrbench.yaml").write_text("models: {my-net: {arch: 'my_models.py:build'}}\n")
    content = parse(text, "snippet").content
    base = {"name": "whole", "data": "digits", "models": {"resnet18": {"arch": "resnet18"}}}
    path = here / "snippet.yaml"
    path.write_text(yaml.safe_dump({**base, **content}, sort_keys=False))
    suite, _ = load_suite(path)
    assert suite.models


@pytest.mark.parametrize("text", snippets("toml"))
def test_toml(text):
    groups = tomllib.loads(text)["project"]["entry-points"]
    assert set(groups) <= {registry.group for registry in (MODELS, ATTACKS, DATASETS, MEASURES, REGULARIZERS)}


class Net(nn.Sequential):
    """A network with the layers that the snippets name."""

    def __init__(self):
        parts = {"flat": nn.Flatten(), "layer3": nn.Linear(64, 32), "avgpool": nn.ReLU(), "3": nn.Linear(32, 32)}
        super().__init__()
        for name, module in {**parts, "fc": nn.Linear(32, 10)}.items():
            self.add_module(name, module)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("text", snippets("python"))
def test_python(text, here, monkeypatch):
    if not (here / "runs/quick").exists():
        assert main(["run", "quick"]) == 0
    monkeypatch.setattr("builtins.print", lambda *_: None)
    torch.manual_seed(0)
    net = Net()
    x, y = torch.rand(60, 1, 8, 8), torch.arange(60) % 10
    namespace = {
        "net": net,
        "model": net,
        "x": x,
        "y": y,
        "criterion": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD(net.parameters(), 0.1),
    }
    text = text.replace('"layer3": 1000, "avgpool": 50', '"layer3": 10, "avgpool": 5')
    exec(text, namespace)  # noqa: S102


def test_the_site_builds_without_a_complaint(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {path.parent.name for path in (tmp_path / "site").rglob("index.html")}
    assert {
        "add-a-model",
        "add-an-attack",
        "add-a-measure",
        "suite",
        "leaderboards",
        "robustness",
        "paper",
        "performance",
        "gpu",
        "api",
    } <= pages
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text("utf-8")
        assert not re.search(r'(?:src|href)="https?://[^"]*\.(?:js|css|woff2?)"', text), page
    api = (tmp_path / "site/api/index.html").read_text("utf-8")
    assert "attach_lr_layers" in api
    assert "AutoAttack" in api
