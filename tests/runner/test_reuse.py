"""What another run has finished is taken over where it is the very same, and said to be."""

import shutil
from pathlib import Path

import pytest

import lrbench
from lrbench.cli import main
from lrbench.leaderboard.outcomes import Run
from lrbench.runner import Session
from lrbench.runner.reporter import Silent
from lrbench.runner.share import Share
from lrbench.store import Store

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: paper
data: {name: digits, train: 60, test: 30}
models: {net: {arch: "support.nets:staged", width: 4}, other: {arch: "support.nets:staged", width: 5}}
training: {epochs: 1, batch_size: 30}
threat_model: {space: normalized, eps: [8/255], samples: 10}
attacks: [fgsm]
diagnostics: {masking: false}
"""
PIXEL = SUITE.replace("name: paper", "name: pixel").replace("space: normalized, ", "")


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reuse")
    (folder / "paper.yaml").write_text(SUITE)
    lrbench.run(folder / "paper.yaml", out=folder / "paper")
    return folder / "paper"


@pytest.fixture
def pixel(tmp_path):
    (tmp_path / "pixel.yaml").write_text(PIXEL)
    return tmp_path / "pixel.yaml"


def _took(out, kind):
    return {record.id: record.seconds for record in Store(out).view().records() if record.id.startswith(kind)}


def test_a_suite_of_another_threat_model_takes_over_the_trainings_and_no_attack(paper, pixel, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["plan", str(pixel), "--out", str(out), "--reuse", str(paper)]) == 0
    assert "9 steps, 2 done" in capsys.readouterr().out
    assert not out.exists(), "a plan writes nothing"
    assert main(["run", str(pixel), "--out", str(out), "--reuse", str(paper)]) == 0
    assert f"from {paper}, not run again: train/net/seed-0 and 1 more" in capsys.readouterr().out
    assert _took(out, "train/") == _took(paper, "train/")
    assert _took(out, "attack/") != _took(paper, "attack/")
    assert Session.open(pixel, out).pending == [], "the other run is not needed any more"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("train: 60", "train: 50", "train/net/seed-0: the data set"),
        ("epochs: 1", "epochs: 2", "train/net/seed-0: training.epochs 1 -> 2"),
        ("net: ", "mine: ", "train/other/seed-0: training.epochs 1 -> 2"),
        ("models: {net", "seeds: [4]\nmodels: {net", "it has no finished step of a name that is wanted here"),
    ],
    ids=["data", "training", "one-name", "no-name"],
)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_run_of_which_nothing_fits_is_said_to_be_one_and_why(paper, pixel, tmp_path, capsys, command, old, new, why):
    changed = PIXEL.replace("epochs: 1", "epochs: 2") if old in {"net: ", "models: {net"} else PIXEL
    pixel.write_text(changed.replace(old, new, 1))
    out = tmp_path / "out"
    assert main([command, str(pixel), "--out", str(out), "--reuse", str(paper)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    first = f"nothing in {paper} can be reused: "
    assert said.count(first) == 1
    assert said.partition(first)[2].startswith(why)
    if command == "run":
        assert main(["plan", str(pixel), "--out", str(out), "--reuse", str(paper)]) == 0
        assert "can be reused" not in capsys.readouterr().out, "nothing is wanted any more"


def test_of_several_runs_that_one_is_named_of_which_nothing_fits(paper, pixel, tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text(SUITE.replace("epochs: 1", "epochs: 2"))
    lrbench.run(other, out=tmp_path / "other")
    capsys.readouterr()
    asked = ["--out", str(tmp_path / "out"), "--reuse", str(paper), "--reuse", str(tmp_path / "other")]
    assert main(["run", str(pixel), *asked]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"from {paper}, not run again" in said
    assert said.count("can be reused") == 1
    assert f"nothing in {tmp_path / 'other'} can be reused: train/net/seed-0: training.epochs 2 -> 1" in said


def test_a_run_that_is_resumed_is_not_said_to_have_got_nothing_from_what_gave_it_a_step(paper, pixel, tmp_path, capsys):
    again = ["run", str(pixel), "--out", str(tmp_path / "out"), "--reuse", str(paper)]
    assert main([*again, "--steps", "train/*"]) == 0
    capsys.readouterr()
    assert main([*again, "--steps", "accuracy/*"]) == 0
    assert "can be reused" not in capsys.readouterr().out


def test_a_run_that_trained_for_itself_is_told_that_nothing_else_fits(paper, pixel, tmp_path, capsys):
    alone = ["run", str(pixel), "--out", str(tmp_path / "out")]
    assert main([*alone, "--steps", "train/*"]) == 0
    capsys.readouterr()
    assert main([*alone, "--steps", "accuracy/*", "--reuse", str(paper)]) == 0
    assert "can be reused" in capsys.readouterr().out


def test_of_two_runs_that_hold_the_same_neither_is_said_to_be_of_no_use(paper, pixel, tmp_path, capsys):
    again = shutil.copytree(paper, tmp_path / "again")
    for first, second in ((paper, again), (again, paper)):
        asked = ["--out", str(tmp_path / "out"), "--reuse", str(first), "--reuse", str(second)]
        assert main(["plan", str(pixel), *asked]) == 0
        said = capsys.readouterr().out
        assert "9 steps, 2 done" in said
        assert "can be reused" not in said


def test_a_run_whose_only_fitting_steps_are_damaged_says_so(paper, pixel, tmp_path, capsys):
    damaged = shutil.copytree(paper, tmp_path / "damaged")
    for model in ("net", "other"):
        next((damaged / f"steps/train/{model}/seed-0").glob("*.safetensors")).write_bytes(b"")
    assert main(["plan", str(pixel), "--out", str(tmp_path / "out"), "--reuse", str(damaged)]) == 0
    assert "can be reused: train/net/seed-0: damaged" in " ".join(capsys.readouterr().out.split())


def test_the_figures_are_those_of_a_run_that_took_every_step(paper, pixel, tmp_path):
    lrbench.run(pixel, out=tmp_path / "out", reuse=[paper])
    lrbench.run(pixel, out=tmp_path / "alone")
    assert (tmp_path / "out/results.csv").read_bytes() == (tmp_path / "alone/results.csv").read_bytes()


def test_where_a_step_was_taken_comes_with_it(paper, pixel, tmp_path, monkeypatch):
    monkeypatch.setattr("lrbench.runner.environment._processor", lambda: "a new one")
    lrbench.run(pixel, out=tmp_path / "out", reuse=[paper])
    named = {each["device_name"] for each in Run.open(tmp_path / "out").environments("net")}
    assert named == {Run.open(paper).environments("net")[0]["device_name"], "a new one"}


def test_a_renamed_model_is_taken_over_under_its_new_name(paper, tmp_path):
    (tmp_path / "new.yaml").write_text(SUITE.replace("other:", "wide:"))
    lrbench.run(tmp_path / "new.yaml", out=tmp_path / "out", reuse=[paper])
    assert [*_took(tmp_path / "out", "train/wide/").values()] == [*_took(paper, "train/other/").values()]


def test_what_is_damaged_there_is_made(paper, pixel, tmp_path):
    copied = shutil.copytree(paper, tmp_path / "copied")
    (damaged,) = (copied / "steps/train/net").rglob("*.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    session = Session.open(pixel, tmp_path / "out", reuse=[copied])
    assert {step.id for step in session.pending if step.kind == "train"} == {"train/net/seed-0"}
    whole = Session.open(pixel, tmp_path / "out", reuse=[copied, paper])
    assert not [step.id for step in whole.pending if step.kind == "train"], "the next folder has it whole"


@pytest.mark.parametrize("share", [None, Share(("*/net/*",))], ids=["run", "share"])
def test_what_is_gone_when_it_is_to_be_copied_is_made(paper, pixel, tmp_path, monkeypatch, share):
    copied = shutil.copytree(paper, tmp_path / "copied")
    session, looked = Session.open(pixel, tmp_path / "out", reuse=[copied]), []

    def lost(states):
        looked.append(states)
        shutil.rmtree(copied / "steps/train/net", ignore_errors=True)
        return []

    monkeypatch.setattr("lrbench.runner.states.again", lost)
    if share is None:
        assert not session.run(Silent()).failures
        assert Session.open(pixel, tmp_path / "out").pending == []
    else:
        assert session.run_share(share, Silent()) == {}
    assert looked[0]["train/net/seed-0"] == "done"
    assert "train/net/seed-0" in _took(tmp_path / "out", "train/")


def test_a_share_takes_over_its_own(paper, pixel, tmp_path):
    out = tmp_path / "out"
    session = Session.open(pixel, out, reuse=[paper])
    assert session.run_share(Share(("*/net/*",)), Silent()) == {}
    assert _took(out, "train/").keys() == {"train/net/seed-0"}


@pytest.mark.parametrize(
    ("what", "why"),
    [("nothing", "it does not exist"), ("a file", "no folder `steps`"), ("a board", "a published board")],
)
def test_a_folder_without_a_run_is_refused_in_a_line(pixel, tmp_path, capsys, what, why):
    folder = tmp_path / "elsewhere"
    if what == "a file":
        folder.write_text("")
    elif what == "a board":
        (folder / "records").mkdir(parents=True)
    assert main(["run", str(pixel), "--out", str(tmp_path / "out"), "--reuse", str(folder)]) == 2
    assert f"elsewhere holds no run whose steps could be reused: {why}" in capsys.readouterr().err
    assert not Path(tmp_path / "out").exists()
