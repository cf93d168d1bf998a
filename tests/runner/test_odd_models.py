"""A model that misbehaves costs its own steps and nothing else, wherever steps are taken."""

import csv
import json
import os
from pathlib import Path

import pytest
from support import odd

import lrbench
from lrbench.cli import main

HEAD = """\
name: odd
data: {name: digits, train: 60, test: 30}
training: {epochs: 1, batch_size: 30}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm]
diagnostics: {masking: false}
models:
  base: {arch: "odd.py:fine"}
"""
FINE = '  fine: {arch: "odd.py:fine", training: {learning_rate: 0.05}}\n'
ENGINES = {"one process": [], "two": ["--jobs", "2"], "ray": ["--engine", "ray", "--jobs", "2"]}

CHANGES = ("arithmetic", "chdir", "deterministic", "dtype", "environment", "gradients", "interpreter", "prints")
CHANGES += ("seeds", "threads", "warnings")
LASTING = ("replaces", "thread")
"""What nobody can put back; only a process of its own holds it."""

DEADLY = {
    "build-exit": "it asked its process to exit with status 0",
    "build-os-exit": "its process ended with status 3",
    "exit-0": "it asked its process to exit with status 0",
    "exit-1": "it asked its process to exit with status 1",
    "interrupt": "KeyboardInterrupt: no message",
    "loop": "its process took longer than --step-timeout 6 s and was ended",
    "os-exit": "its process ended with status 0",
    "segfault": "its process was killed by signal 11 (SIGSEGV)",
}
ELSEWHERE = {"raises": 'raise ArithmeticError("odd")', "exits": "sys.exit(0)"}


def with_slow(usual, *slow):
    return [usual, *(pytest.param(each, marks=pytest.mark.slow) for each in slow)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    (folder / "odd.py").write_text(odd.FILE)
    (folder / "imported.py").write_text(odd.IMPORTED)
    (folder / "shift.txt").write_text("0.125")
    (folder / "elsewhere").mkdir()
    for name, what in ELSEWHERE.items():
        (folder / f"{name}.py").write_text(odd.ONLY_ELSEWHERE.replace("WHAT", what))
    return folder


@pytest.fixture(autouse=True)
def _inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def alone(folder):
    """Rows of the models that would notice, without the odd ones."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        (folder / "alone.yaml").write_text(HEAD + FINE)
        assert main(["run", "alone.yaml", "--out", "alone"]) == 0
    finally:
        os.chdir(before)
    return rows(folder / "alone")


def rows(out):
    with (out / "results.csv").open() as file:
        # A p-value is adjusted for how many models there are.
        return [row for row in csv.reader(file) if {"base", "fine"} & {*row} and "p_adjusted" not in row]


def models(names):
    return "".join(f'  {name}: {{arch: "odd.py:odd", how: {name}}}\n' for name in names)


def failed(out):
    """Model -> what its first failed step says."""
    found = {}
    failures = json.loads((out / "failures.json").read_text())
    for step, reason in failures.items():
        if not reason.startswith("needs "):
            found.setdefault(step.split("/")[1], reason)
    return found


def run(folder, name, suite, options, request):
    if "ray" in options:
        request.getfixturevalue("ray")
    if options:
        request.getfixturevalue("undrawn")  # one process has drawn the same
    (folder / "odd.yaml").write_text(suite)
    out = f"{name} {' '.join(options)}"
    return main(["run", "odd.yaml", "--out", out, *options]), folder / out


@pytest.mark.parametrize(
    "engine", ["one process", *(pytest.param(each, marks=pytest.mark.slow) for each in ("two", "ray"))]
)
def test_what_a_model_changes_does_not_reach_the_next(folder, alone, capfd, request, engine):
    # One that would notice comes before the odd ones, one after them.
    suite = HEAD + models(CHANGES + LASTING) + '  imports: {arch: "imported.py:build"}\n' + FINE
    status, out = run(folder, "changes", suite, ENGINES[engine], request)
    assert rows(out) == alone
    assert len(alone) > 10
    assert not (out / "failures.json").exists()
    assert status == 0
    assert not list((folder / "elsewhere").iterdir())
    printed = capfd.readouterr()
    # One that switches gradients off cannot be trained.
    assert "gradients: nothing in it can be trained, so it is evaluated without training; left out fgsm" in printed.err
    assert "train/prints/seed-0 printed: one line\\rand another\n" in printed.out
    assert "train/prints/seed-0 printed: an error\n" in printed.out
    assert "from below" not in printed.out
    assert not [line for line in printed.out.splitlines() if line.startswith(("one line", "imported"))]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["two", "one process", "ray"])
def test_a_model_that_ends_its_process_costs_its_own_steps(folder, alone, capsys, request, engine):
    elsewhere = "".join(f'  {name}: {{arch: "{name}.py:build"}}\n' for name in ELSEWHERE)
    options = [*ENGINES[engine], "--step-timeout", "6"]
    status, out = run(folder, "deadly", HEAD + models(DEADLY) + elsewhere + FINE, options, request)
    assert status == 1
    assert rows(out) == alone
    found = failed(out)
    for name, error in (("raises", "ArithmeticError: odd"), ("exits", "SystemExit: 0")):
        assert found.pop(name) == f"importing {folder / name}.py failed: {error}"
    assert found == DEADLY
    assert "in loop" in (out / "steps/train/loop/seed-0/failure.txt").read_text()
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    assert "build-os-exit was not checked: its process ended with status 3" in printed.err


def test_in_this_process_an_exit_is_a_failed_step_as_well(folder, alone):
    (folder / "here.yaml").write_text(HEAD + models(["exit-0", "build-exit", "interrupt", *CHANGES]) + FINE)
    board = lrbench.run("here.yaml", out="here")
    assert rows(folder / "here") == alone
    expected = {name: DEADLY[name] for name in ("exit-0", "build-exit", "interrupt")}
    assert failed(folder / "here").items() >= expected.items()
    assert set(failed(folder / "here")) == set(expected)
    assert board.failures


@pytest.mark.parametrize("what", ["os._exit(0)", "sys.exit(0)", "os.kill(os.getpid(), 11)"])
def test_an_import_that_ends_the_process_is_a_fault_of_the_suite(folder, capsys, what):
    name = f"gone{len(what)}"
    (folder / f"{name}.py").write_text(f"import os, sys\n{what}\n")
    (folder / "gone.yaml").write_text(f'{HEAD}{FINE}  gone: {{arch: "{name}.py:build"}}\n')
    assert main(["run", "gone.yaml", "--out", "gone"]) == 2
    said = capsys.readouterr().err
    assert f"{name}.py" in said
    assert "gone.yaml, line 10" in said
    assert "Traceback" not in said
    assert not (folder / "gone").exists()


def test_code_that_changed_since_the_run_began_is_not_taken_for_what_it_was(folder):
    text = odd.ONLY_ELSEWHERE.replace("WHAT", "open('changing.py', 'a').write('# more\\nmore = 1\\n')")
    (folder / "changing.py").write_text(text)
    (folder / "changing.yaml").write_text(
        HEAD.replace('  base: {arch: "odd.py:fine"}\n', "") + '  net: {arch: "changing.py:build"}\n'
    )
    assert main(["run", "changing.yaml", "--out", "changing"]) == 1
    assert "has changed since this run began" in failed(folder / "changing")["net"]


@pytest.mark.parametrize("how", ["build-exit", "build-os-exit"])
def test_a_single_model_that_ends_its_process_is_refused_in_a_line(folder, capsys, how):
    factory = ["--factory", "odd.py:odd", "--option", f"how={how}"]
    assert main(["register", how, *factory]) == 2
    (folder / "lrbench.yaml").write_text(f'models: {{{how}: {{arch: "odd.py:odd", how: {how}}}}}\n')
    (folder / "one.yaml").write_text(HEAD)
    try:
        assert main(["evaluate", how, "--suite", "one.yaml"]) == 2
    finally:
        (folder / "lrbench.yaml").unlink()
    said = [line for line in capsys.readouterr().err.splitlines() if "running" not in line]
    assert said == [
        f"lrbench: {how} cannot be built or run: {DEADLY[how]}",
        f"lrbench: {how} cannot be built: {DEADLY[how]}",
    ]


def test_what_a_suite_says_that_a_model_lacks_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = HEAD.replace('"odd.py:fine"', "resnet18, width: 4") + "  lacking: {extends: base, lacks: [gradients]}\n"
    (tmp_path / "odd.yaml").write_text(text)
    assert main(["plan", "odd.yaml", "--all"]) == 0
    printed = capsys.readouterr()
    assert "lacking: left out fgsm, since the suite says so (`lacks`)" in printed.err
    assert "attack/base/seed-0/fgsm" in printed.out
    assert "attack/lacking/" not in printed.out
