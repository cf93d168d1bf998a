"""What published boards keep: enough to compare and to report, in little, under checksums."""

import json
import shutil

import numpy as np
import pytest
from support.boards import renamed, resealed

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.kept import packed, read_record, unpacked
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.paired import compare
from lrbench.leaderboard.published import check, publish, rebuild
from lrbench.leaderboard.published.record import record_of
from lrbench.statistics import wilson


@pytest.fixture(scope="module")
def published(pair_boards):
    return pair_boards / "small"


@pytest.fixture(scope="module")
def older(published, tmp_path_factory):
    """A board as it was published before records kept outcomes, and how many steps are done."""
    to = tmp_path_factory.mktemp("older") / "boards"
    shutil.copytree(published.parent, to)

    def age(content):
        content["format"] = 1
        content["environment"] = content.pop("environments")[0]
        del content["outcomes"], content["cautions"], content["steps"], content["attacks"]

    for path in (to / "small/records").iterdir():
        resealed(path, age)
    rebuild(to)
    return to / "small"


def test_a_published_board_compares_as_its_run_does(pair_run, published, capsys):
    (of_run,), (of_board,) = (compare(f"{place}:net", f"{place}:lr") for place in (pair_run, published))
    assert of_board.differences == of_run.differences
    assert len(of_run.differences) > 5
    assert of_board.configuration == of_run.configuration
    (across,) = compare(f"{pair_run}:net", f"{published}:net")
    assert {each.estimate.difference for each in across.differences} == {0}
    assert main(["compare", f"{published}:net", f"{published}:lr"]) == 0
    assert "worst-case" in capsys.readouterr().out


def test_a_published_board_makes_a_report(pair_run, published, tmp_path, capsys):
    assert main(["report", str(published), "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "Robust accuracy % in the worst case" in page
    assert json.loads((pair_run / "environment.json").read_text())["packages"]["torch"] in page
    assert "Report in" in capsys.readouterr().out


def test_outcomes_take_little_room(published):
    for path in (published / "records").iterdir():
        outcomes = json.loads(path.read_text())["outcomes"]
        assert set(outcomes) == {"0", "1"}
        assert len(json.dumps(outcomes)) < 4000


def test_bits_come_back():
    generator = np.random.default_rng(0)
    wrong = {("", 0.0): generator.random(1003) < 0.5, ("a b", 8 / 255): generator.random(1003) < 0.01}
    again = unpacked(json.loads(json.dumps(packed(wrong))))
    assert list(again) == list(wrong)
    assert all(np.array_equal(again[key], wrong[key]) for key in wrong)


@pytest.mark.parametrize(
    "change",
    [
        lambda each: each.update(n=10**12),
        lambda each: each.update(n=-1),
        lambda each: each.update(n="20"),
        lambda each: each.update(bits="eJw="),
        lambda each: each.update(bits="%"),
        lambda each: each["under"].pop(),
        lambda each: each.pop("under"),
        lambda each: each["under"][1].append(3),
    ],
)
def test_outcomes_that_are_none_are_refused(published, tmp_path, change):
    path = tmp_path / "net.json"
    shutil.copy(published / "records/net.json", path)
    resealed(path, lambda content: change(content["outcomes"]["0"]))
    with pytest.raises(UsageError, match="which is not what became of its images"):
        read_record(path)


def test_a_figure_that_is_not_that_of_its_images_is_found(published, tmp_path):
    to = tmp_path / "to"
    shutil.copytree(published.parent, to)

    def lie(content):
        row = next(row for row in content["results"] if row["attack"] == "autoattack")
        assert row["metric"] == "misclassification"
        row["value"] = 0.05
        row["ci_low"], row["ci_high"] = wilson(0.05, 20)

    resealed(to / "small/records/net.json", lie)
    with pytest.raises(UsageError, match=r"0\.05 under autoattack \(seed 0\), which is not what became of its images"):
        check(to)


@pytest.mark.turns("command")
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(masking=[1]),
        lambda content: content.update(outcomes=[1]),
        lambda content: content.update(results=3),
        lambda content: content.update(environments=[3]),
        lambda content: content.pop("environments"),
        lambda content: content.pop("test_images"),
        lambda content: content.update(model=["net"]),
        lambda content: content["results"].append({"metric": "misclassification"}),
    ],
)
@pytest.mark.parametrize("command", ["compare", "report"])
def test_a_stranger_s_record_is_refused_in_a_line(published, tmp_path, change, command, capsys):
    board = tmp_path / "board"
    shutil.copytree(published, board)
    resealed(board / "records/net.json", change)
    arguments = [f"{board}:net", f"{board}:lr"] if command == "compare" else [str(board), "--out", str(tmp_path / "r")]
    assert main([command, *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    (board / "records/net.json").write_text("[" * 100_000)
    assert main([command, *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_older_board_says_in_a_line_that_it_cannot_be_compared(older, capsys):
    assert check(older.parent) == 2
    assert main(["show", str(older)]) == 0
    capsys.readouterr()
    assert main(["compare", f"{older}:net", f"{older}:lr"]) == 2
    said = capsys.readouterr().err
    assert "was published without the outcome of each image" in said
    assert len(said.splitlines()) == 1
    assert main(["export", f"{older}:net", "--robustbench"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_older_board_has_a_report_all_the_same(older, tmp_path):
    assert main(["report", str(older), "--out", str(tmp_path / "report.html")]) == 0
    assert "Robust accuracy % in the worst case" in (tmp_path / "report.html").read_text()


def test_a_board_is_not_published_from_a_board(published, tmp_path):
    with pytest.raises(UsageError, match="is a published board; name the folder of a run"):
        publish(published, tmp_path / "to")


def test_records_made_on_several_machines_say_so(pair_run, published, tmp_path, capsys):
    to = tmp_path / "to"
    shutil.copytree(published.parent, to)

    def elsewhere(content):
        content["environments"] = [{**content["environments"][0], "device_name": "Another Processor"}]
        renamed(content, "other")

    shutil.copy(to / "small/records/net.json", to / "small/records/other.json")
    resealed(to / "small/records/other.json", elsewhere)
    publish(pair_run, to)
    text = (to / "small/README.md").read_text()
    assert "Computed on several machines" in text
    assert "Another Processor" in text
    assert main(["show", str(to / "small")]) == 0
    assert "Computed on several machines" in capsys.readouterr().out


def test_a_record_keeps_every_environment_of_its_model(pair_run, monkeypatch):
    first = Run.open(pair_run).environment
    both = [first, {**first, "commit": "another"}]
    monkeypatch.setattr(Run, "environments", lambda _run, _model=None: both)
    record = record_of(Run.open(pair_run), "net")
    assert record["environments"] == both
    assert "environment" not in record
