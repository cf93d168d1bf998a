"""Folders that are none, or hold something else than they should: a line or two, whatever the command."""

import os
import shutil
import socket
import stat

import pytest
from support.plain import FACTORY

import lrbench
from lrbench.cli import main

SUITE = """\
name: small
data: {name: digits, train: 60, test: 20}
models:
  net: {arch: "FACTORY:build"}
training: {epochs: 1, batch_size: 50}
threat_model: {eps: [8/255], samples: 5}
attacks: [fgsm]
diagnostics: {masking: false}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A suite's path, and the folder of its run."""
    place = tmp_path_factory.mktemp("small")
    (place / "mine.py").write_text(FACTORY)
    (place / "small.yaml").write_text(SUITE.replace("FACTORY", str(place / "mine.py")))
    lrbench.run(place / "small.yaml", out=place / "run")
    return place / "small.yaml", place / "run"


def long_name(folder):
    return folder / ("n" * 300)


def nul(folder):
    return f"{folder}/a\0b"


def file(folder):
    (folder / "file").write_text("mine")
    return folder / "file"


def below_a_file(folder):
    return file(folder) / "run"


def dangling(folder):
    (folder / "link").symlink_to(folder / "nowhere")
    return folder / "link"


def circle(folder):
    (folder / "circle").symlink_to(folder / "circle")
    return folder / "circle"


def pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def listening(folder):
    place = os.getcwd()
    os.chdir(folder)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    os.chdir(place)
    return folder / "socket"


def deep(folder):
    return f"{folder}{'/d' * 900}"


def long_path(folder):
    return f"{folder}/{'/'.join(['d' * 200] * 25)}"


def nothing(_folder):
    return ""


PLACES = [long_name, nul, file, below_a_file, dangling, circle, pipe, listening, deep, long_path, nothing]


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


COMMANDS = {
    "run": lambda suite, _, out: ["run", suite, "--out", out],
    "share": lambda suite, _, out: ["run", suite, "--out", out, "--steps", "train/*"],
    "plan": lambda suite, _, out: ["plan", suite, "--out", out],
    "evaluate": lambda suite, _, out: ["evaluate", "resnet18", "--suite", suite, "--out", out],
    "show": lambda _, __, out: ["show", out],
    "compare": lambda _, run, out: ["compare", out, run],
    "report": lambda _, __, out: ["report", out],
    "publish": lambda _, __, out: ["publish", out, "--to", "boards"],
    "publish to": lambda _, run, out: ["publish", run, "--to", out],
    "export": lambda _, __, out: ["export", f"{out}:net", "--robustbench"],
}


def said(capsys):
    """What was said after what is said of a suite in any case."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if not line.startswith(("lrbench: running", "lrbench: left out"))]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("make", PLACES)
def test_a_folder_that_can_be_none_is_refused_by_every_command(make, run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    out, before = str(make(tmp_path)), sorted(tmp_path.rglob("*"))
    for command, given in COMMANDS.items():
        # Of nothing and a colon, the rest is a name.
        if not (make is nothing and command in {"evaluate", "export"}):
            assert main(given(*map(str, run), out)) == 2, command
            lines = said(capsys)
            assert len(lines) == 1, command
            assert len(lines[0]) < 600
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("make", [dangling, circle, pipe, listening])
def test_a_report_takes_the_place_of_no_device_pipe_socket_or_link_to_nowhere(make, run, tmp_path, capsys):
    out = make(tmp_path)
    kind = stat.S_IFMT(out.lstat().st_mode)
    assert main(["report", str(run[1]), "--out", str(out)]) in {1, 2}
    assert len(said(capsys)) == 1
    assert stat.S_IFMT(out.lstat().st_mode) == kind


def test_a_folder_that_cannot_be_read_is_said_to_be(run, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda *_: False)
    for command, given in COMMANDS.items():
        if command != "publish to":
            assert main(given(*map(str, run), str(run[1]))) == 2, command
            assert "this folder cannot be read (permission denied)" in said(capsys)[0]


FILES = [
    *("results.csv", "failures.json", "masking.json", "environment.json", "suite.yaml", "plan.json", "status.json"),
    *("report.html", "figures/index.json", ".lock", "steps/train/net/seed-0/step.json"),
    "steps/train/net/seed-0/weights.safetensors",
]
FOLDERS = ["steps", "steps/train", "figures", "environments"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.turns("command", each=2)
@pytest.mark.parametrize("command", ["plan", "show", "compare", "report", "publish", "share", "run"])
@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_a_folder_where_a_file_should_be_or_a_file_for_a_folder_is_no_traceback(name, command, run, tmp_path, capsys):
    suite, whole = run
    out = tmp_path / command
    shutil.copytree(whole, out)
    place = out / name
    if name in FOLDERS:
        shutil.rmtree(place, ignore_errors=True)
        place.write_text("mine")
    else:
        place.unlink(missing_ok=True)
        (place / "mine").mkdir(parents=True)
    status = main(COMMANDS[command](str(suite), str(whole), str(out)))
    lines = said(capsys)
    assert (status == 0 and not lines) or (status in {1, 2} and len(lines) == 1), lines
    # Whose it is nobody knows.
    assert place.is_dir() == (name in FILES) or status == 0


@pytest.mark.parametrize("command", ["show", "compare", "report", "publish", "run"])
def test_the_name_of_a_folder_does_not_drive_the_terminal(command, run, tmp_path, capsys):
    suite, whole = run
    out = tmp_path / "\x1b[2J\rred\nline"
    out.write_text("")
    assert main(COMMANDS[command](str(suite), str(whole), str(out))) == 2
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert "\r" not in told
    assert r"\x1b[2J\rred\nline" in told


@pytest.mark.parametrize("given", ["--out=OUT", "--out=OUT/"])
def test_a_line_break_in_an_option_s_value_breaks_no_line(given, run, tmp_path, capsys):
    (tmp_path / "a\nfile").write_text("")
    assert main(["run", str(run[0]), given.replace("OUT", str(tmp_path / "a\nfile"))]) == 2
    assert r"a\nfile" in capsys.readouterr().err


def test_an_argument_of_a_line_break_leaves_a_message_its_lines(run, tmp_path, capsys):
    suite = tmp_path / "bad.yaml"
    suite.write_text(run[0].read_text() + "seeds: [-1, x]\n")
    assert main(["run", str(suite), "--out", str(tmp_path / "\n")]) == 2
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.parametrize("extra", ["\n", "ext\nra", "foo\x1b[31m", "--\x1b[31mred", "\u2028"])
def test_an_argument_too_many_is_told_in_a_line_that_drives_no_terminal(extra, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["run", "quick", extra])
    told = capsys.readouterr().err.rpartition("error: ")[2]
    assert told.removesuffix("\n").isprintable()


def test_an_option_that_there_is_not_is_told_after_an_argument_too_many(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["run", "quick", "extra", "--jbos"])
    assert "did you mean '--jobs'" in capsys.readouterr().err
