"""Attacks and data sets of one's own, named in a suite by file: no registration, no package."""

import os
import sys

import pytest
from support.code import forget

import lrbench
from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard import Leaderboard

pytestmark = pytest.mark.usefixtures("undrawn")

CODE = """\
import torch
from lrbench.attacks import Attack
from lrbench.data import ImageData, Split
from helper import DIRECTION


class Push(Attack):
    weak = True

    def __init__(self, eps, bounds=(0.0, 1.0), scale: float = 1.0):
        self.eps, self.bounds, self.scale = eps, bounds, scale

    def run(self, model, x, y):
        return x + DIRECTION * self.scale * self.eps


def stripes(root, *, train, test, side: int = 8):
    generator = torch.Generator().manual_seed(0)

    def split(count):
        labels = torch.arange(count) % 4
        images = torch.randint(60, (count, 1, side, side), generator=generator, dtype=torch.uint8)
        images[torch.arange(count), 0, labels] += 100
        return Split(images, labels)

    return ImageData("stripes", split(train or 80), split(test or 24), ("a", "b", "c", "d"))
"""
SUITE = """\
name: own
data: {name: "mine.py:stripes", side: 6}
models: {net: {arch: resnet18, width: 4}}
training: {epochs: 1, batch_size: 40}
threat_model: {eps: [8/255]}
attacks: [{name: "mine.py:Push", scale: 0.5}]
diagnostics: {masking: false}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "helper.py").write_text("DIRECTION = 1\n")
    (tmp_path / "own.yaml").write_text(SUITE)
    yield tmp_path
    unload()


def unload():
    for name in [name for name in sys.modules if name == "helper" or name.startswith("lrbench_user_mine")]:
        del sys.modules[name]


def test_they_are_run_shown_and_made_again_when_their_code_changes(folder, capsys):
    assert main(["run", "own.yaml", "--out", "out"]) == 0
    assert f"running {folder / 'mine.py'}, which own.yaml names" in capsys.readouterr().err
    board = Leaderboard.load("out")
    assert "mine.py-Push" in set(board.results["attack"])
    assert set(board.results["dataset"]) == {"stripes"}
    (folder / "helper.py").write_text("DIRECTION = -1\n")
    forget()
    unload()
    assert main(["plan", "own.yaml", "--out", "out", "--all"]) == 0
    printed = capsys.readouterr().out
    assert "changed: helper.py, which mine.py imports" in printed
    assert "train/net/seed-0" in printed
    assert main(["run", "own.yaml", "--out", "two", "--jobs", "2"]) == 0
    capsys.readouterr()
    # Of two versions of an attack the difference would be the attacks'.
    assert main(["compare", "out", "two"]) == 0
    assert "mine.py-Push at 8/255 (other options, code or surrogate)" in capsys.readouterr().out
    assert main(["run", "own.yaml", "--out", "out"]) == 0
    assert (folder / "two/results.csv").read_text() == (folder / "out/results.csv").read_text()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("mine.py:Push", "mine.py:Puhs", "line 6: attacks.0: mine.py has no function 'Puhs'; did you mean 'Push'?"),
        ("mine.py:Push", "their.py:Push", "line 6: attacks.0: no such file: their.py"),
        ("mine.py:Push", "os.path:join", "line 6: attacks.0: os.path is no package of attacks"),
        ("mine.py:Push", "lrbench.names:in_path", "in_path does not take model, x, y, so it makes no attack"),
        ("scale: 0.5", "scal: 0.5", "line 6: attacks.0.scal: unknown key; did you mean 'scale'?"),
        (
            "mine.py:stripes",
            "mine.py:stripse",
            "line 2: data: mine.py has no function 'stripse'; did you mean 'stripes'?",
        ),
        ("side: 6", "sides: 6", "line 2: data.sides: unknown key; did you mean 'side'?"),
        ("mine.py:stripes", ":stripes", "is not of the form FILE.py:NAME"),
    ],
)
def test_a_mistake_is_a_line(folder, capsys, old, new, says):
    (folder / "own.yaml").write_text(SUITE.replace(old, new))
    assert main(["run", "own.yaml", "--out", "out"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert says in last
    assert not (folder / "out").exists()


def test_a_file_that_was_edited_since_it_was_imported_is_named(folder):
    lrbench.run("own.yaml", out="out")
    os.utime(folder / "helper.py", ns=(1, 1))
    lrbench.run("own.yaml", out="out")
    (folder / "helper.py").write_text("DIRECTION = -1\n")
    with pytest.raises(
        UsageError, match=r"helper\.py was edited after this process had imported it; start Python anew"
    ):
        lrbench.run("own.yaml", out="out")


def test_a_file_may_lie_anywhere_and_its_attack_work_in_place(folder):
    (folder / "else").mkdir()
    in_place = "        x += 0.5\n        y.zero_()\n        return x\n\n"
    text = CODE.replace("from helper import DIRECTION", "DIRECTION = 1")
    text = text.replace("    def run(", f"    def __call__(self, model, x, y):\n{in_place}    def run(")
    (folder / "else/mine.py").write_text(text)
    (folder / "own.yaml").write_text(SUITE.replace("mine.py:Push", f"{folder}/else/mine.py:Push"))
    assert main(["run", "own.yaml", "--out", "out"]) == 1
    board = Leaderboard.load("out")
    assert "Push went" in next(iter(board.failures.values()))


def test_code_that_fails_on_import_is_named(folder, capsys):
    (folder / "helper.py").write_text("raise SystemExit(3)\n")
    assert main(["run", "own.yaml"]) == 2
    assert f"importing {folder / 'mine.py'} failed: SystemExit: 3" in capsys.readouterr().err
