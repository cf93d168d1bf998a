"""What a run's tables do not show of its plan is said wherever they are shown."""

import re
import shutil

import pytest
from support.plain import FACTORY

import lrbench
from lrbench.cli import main
from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.report import report
from lrbench.runner import Session
from lrbench.runner.tables import Tables

SUITE = """\
name: left
data: {name: digits, train: 60, test: 20}
models:
  net: {arch: "FACTORY:build"}
  wide: {extends: net, training: {learning_rate: 0.02}}
training: {epochs: 1, batch_size: 50}
threat_model: {eps: [8/255], samples: 5}
attacks: [{name: pgd, steps: 2}]
diagnostics: {masking: false}
"""
STEPS = 9


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of a finished run, and its suite."""
    folder = tmp_path_factory.mktemp("left")
    (folder / "mine.py").write_text(FACTORY)
    suite = folder / "left.yaml"
    suite.write_text(SUITE.replace("FACTORY", str(folder / "mine.py")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrbench.runner.figures._made", lambda *_, **__: {"report.html": b"a report"})
        lrbench.run(suite, out=folder / "run")
    return folder / "run", suite.read_text()


def killed(ran, to, old, new):
    """Give a folder as it is left by a run of a changed suite that is killed before its first step."""
    folder, text = ran
    assert old in text
    shutil.copytree(folder, to / "run")
    (to / "left.yaml").write_text(text.replace(old, new))
    session = Session.open(to / "left.yaml", out=to / "run")
    Tables(session.suite, session.data.name, session.plan, session.store).begin(None)
    return to / "run"


CHANGES = {
    "training": ("epochs: 1", "epochs: 2", "9 to be taken again (train/net/seed-0, "),
    "attack": ("steps: 2", "steps: 3", " to be taken again (attack/net/seed-0/pgd/eps-8, "),
    "data": ("train: 60", "train: 70", "9 to be taken again (train/net/seed-0, "),
    "radius": ("[8/255]", "[9/255]", " new (attack/net/seed-0/pgd/eps-9, "),
    "seed": ("\ntraining:", "\nseeds: [0, 1]\ntraining:", "8 new (train/net/seed-1, "),
    "model": ("  wide:", "  more: {extends: net, training: {epochs: 2}}\n  wide:", " new (train/more/seed-0, "),
}


@pytest.mark.parametrize(("old", "new", "said"), CHANGES.values(), ids=CHANGES)
def test_figures_from_before_a_change_are_said_to_be(ran, tmp_path, capsys, old, new, said):
    folder = killed(ran, tmp_path, old, new)
    assert main(["show", str(folder)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert re.search(r"^left on digits, \d seeds?: out of date ", shown)
    line = shown[shown.index("OUT OF DATE: ") :].partition(". Run the same command")[0]
    assert said in line
    assert "from before the suite, its data or the code of its steps changed" in line
    assert "MISSING" not in shown
    assert line.removeprefix("OUT OF DATE: ") in repr(Leaderboard.load(folder))


def test_what_is_done_of_the_run_as_it_is_counts_though_no_table_shows_it(ran, tmp_path):
    folder = killed(ran, tmp_path, "[8/255]", "[9/255]")
    lack = Leaderboard.load(folder).status.lack
    assert "4 done but not in these figures" in lack
    assert f"<p>out of date: {lack}.</p>" in report(folder)
    folder = killed(ran, tmp_path / "renamed", "  wide:", "  broad:")
    assert f"of the {STEPS} steps as they are now, {STEPS} done but not" in Leaderboard.load(folder).status.lack


def test_steps_that_are_missing_are_named(ran, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(ran[0], folder)
    (tmp_path / "left.yaml").write_text(ran[1])
    for step in ("attack/wide/seed-0/pgd/eps-8", "worst/wide/seed-0"):
        shutil.rmtree(folder / "steps" / step)
    session = Session.open(tmp_path / "left.yaml", out=folder)
    Tables(session.suite, session.data.name, session.plan, session.store).write({})
    assert main(["show", str(folder)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    missing = "not done: attack/wide/seed-0/pgd/eps-8, worst/wide/seed-0. Missing figures come last"
    assert f"MISSING: {STEPS - 2} of {STEPS} steps done; {missing}" in shown


def test_a_whole_run_lacks_nothing(ran, capsys):
    assert Leaderboard.load(ran[0]).status.left is None
    assert main(["show", str(ran[0])]) == 0
    assert not {"MISSING:", "date:"} & {*capsys.readouterr().out.split()}
