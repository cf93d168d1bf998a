"""A run that is not whole is published as what it is, or not at all."""

import json
import shutil

import pytest
import yaml
from support.boards import SUITE, retabled

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.published import check, publish
from lrbench.leaderboard.worth import WORTH
from lrbench.runner import Session


def cut(folder, to, kept):
    """Copy a run as it would be if only the steps that `kept` picks of (place, step) had been taken."""
    shutil.copytree(folder, to)
    session = Session.open(folder.parent / "small.yaml", out=to)
    for place, step in enumerate(session.plan):
        if not kept(place, step):
            shutil.rmtree(session.store.folder(step.id), ignore_errors=True)
    retabled(to, yaml.safe_load(SUITE))
    return to


@pytest.fixture(scope="module")
def begun(shown_run, tmp_path_factory):
    """A run that was stopped after its fourth step."""
    return cut(shown_run, tmp_path_factory.mktemp("begun") / "run", lambda place, _: place < 4)


@pytest.fixture(scope="module")
def half(shown_run, tmp_path_factory):
    """A run with the whole of `net`, `lr` with its first seed alone, and of the others only the networks."""
    return cut(
        shown_run,
        tmp_path_factory.mktemp("half") / "run",
        lambda _, step: step.model == "net" or step.kind == "train" or (step.model, step.seed) == ("lr", 0),
    )


@pytest.fixture(scope="module")
def published(half, tmp_path_factory):
    to = tmp_path_factory.mktemp("half") / "boards"
    assert main(["publish", str(half), "--to", str(to), "--partial"]) == 0
    return to


def test_a_run_that_was_stopped_is_published_only_as_one(begun, tmp_path, capsys):
    to = tmp_path / "boards"
    assert main(["publish", str(begun), "--to", str(to)]) == 2
    said = capsys.readouterr().err
    assert "is not finished: 4 of" in said
    assert "--partial" in said
    assert len(said.splitlines()) == 1
    assert not to.exists()
    assert main(["publish", str(begun), "--to", str(to), "--partial", "--check"]) == 0
    assert "skipped lr: nothing is measured yet" in capsys.readouterr().err
    assert [path.name for path in (to / "small/records").iterdir()] == ["net.json"]


def test_every_view_and_record_of_a_partial_board_says_so(published, tmp_path, capsys):
    board = published / "small"
    record = json.loads((board / "records/lr.json").read_text())
    steps = record["steps"]
    assert steps["done"] < steps["planned"]
    assert all("seed-1" in step or "all-seeds" in step for step in steps["missing"])
    of_lr = f"{steps['done']} of {steps['planned']} steps done"
    assert record["cautions"]
    net = json.loads((board / "records/net.json").read_text())["steps"]
    assert (net["done"], net["missing"]) == (net["planned"], [])
    whole = f"{steps['done'] + net['done']} of {steps['planned'] + net['planned']} steps done"
    readme = (board / "README.md").read_text()
    assert whole in readme
    assert f"{of_lr} of lr" in readme
    assert f"| net | {net['planned']} of {net['planned']} |" in readme
    for page in ("README.md", "index.html"):
        text = (published / page).read_text()
        assert of_lr in text
        assert "need not be ahead by more than chance" in text
    assert f"- small: lr: {of_lr}" in (published / "README.md").read_text(), "an index names the board"
    table = (board / "leaderboard.csv").read_text().splitlines()
    assert [of_lr in line for line in table if line.startswith(("net,", "lr,"))].count(True) == 1
    assert main(["show", str(board)]) == 0
    assert whole in capsys.readouterr().out
    assert main(["report", str(board), "--out", str(tmp_path / "report.html")]) == 0
    assert whole in (tmp_path / "report.html").read_text()
    assert main(["compare", f"{board}:net@1", f"{board}:lr@1"]) == 2
    assert "nothing was measured of both yet" in capsys.readouterr().err
    assert main(["compare", f"{board}:net", f"{board}:lr"]) == 0
    assert "Over the seeds for which both have it: clean (1 of 2 seeds)" in " ".join(capsys.readouterr().out.split())
    assert main(["compare", f"{board}:net@0", f"{board}:lr@0"]) == 0
    assert f"B: lr: {of_lr}" in " ".join(capsys.readouterr().out.split())
    assert check(published) == 2


def test_what_attacks_were_worth_is_told_of_the_seeds_that_met_all_of_them(shown_run, tmp_path):
    lacking = "attack/net/seed-1/autoattack/"
    run = cut(shown_run, tmp_path / "run", lambda _, step: not step.id.startswith(lacking))
    to = tmp_path / "boards"
    assert main(["publish", str(run), "--to", str(to), "--partial"]) == 0
    results = Run.open(to / "small").board.results
    seeds = results[results["metric"].isin(WORTH)].groupby("model")["seed"].unique()
    assert [*seeds["net"]] == [0]
    assert sorted(seeds["lr"]) == [0, 1]


def test_an_attack_that_no_seed_met_leaves_what_others_were_worth_unknown(shown_run, tmp_path, capsys):
    needed_by = {"worst", "difference"}
    run = cut(
        shown_run,
        tmp_path / "run",
        lambda _, step: not step.id.endswith("/autoattack/eps-4") and step.kind not in needed_by,
    )
    to = tmp_path / "boards"
    assert main(["publish", str(run), "--to", str(to), "--partial"]) == 0
    assert not Run.open(to / "small").board.results["metric"].isin(WORTH).any()
    assert main(["attacks", "--rank", str(to / "small")]) == 2
    assert "no seed that met all of them" in capsys.readouterr().err


def test_what_a_model_lacks_is_said_of_it_alone(published):
    board = Run.open(published / "small").board
    assert board.cautions("net") == []
    assert "steps done: what is missing is not in these figures" in board.cautions("lr")[0]


@pytest.mark.slow
def test_what_is_measured_later_takes_its_place(shown_run, shown_boards, published, tmp_path):
    to = tmp_path / "boards"
    shutil.copytree(published, to)
    publish(shown_run, to)
    one, other = (
        {path.relative_to(at): path.read_bytes() for path in at.rglob("*.*") if path.is_file()}
        for at in (to, shown_boards)
    )
    assert one == other
    assert "MISSING" not in (to / "small/README.md").read_text()


def test_a_step_that_is_gone_with_its_rows_is_missed(shown_run, half, tmp_path):
    """`status.json` says what it likes; the plan and the steps say how many are done."""
    run = tmp_path / "run"
    shutil.copytree(half, run)
    shutil.copy(shown_run / "status.json", run / "status.json")
    with pytest.raises(UsageError, match="is not finished: accuracy/lr/seed-1 is not done"):
        publish(run, tmp_path / "boards")
    assert not (tmp_path / "boards").exists()


def test_a_step_whose_record_is_damaged_is_never_published(half, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(half, run)
    path = run / "steps/accuracy/lr/seed-0/step.json"
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(UsageError, match=r"accuracy/lr/seed-0 .* is damaged \(step.json\)"):
        publish(run, tmp_path / "boards", partial=True)


def test_tables_that_are_older_than_the_steps_are_not_published(shown_run, begun, tmp_path):
    """As a run leaves them that was stopped, resumed, and killed."""
    run = tmp_path / "run"
    shutil.copytree(shown_run, run)
    for name in ("results.csv", "status.json"):
        shutil.copy(begun / name, run / name)
    (run / "masking.json").unlink()
    with pytest.raises(UsageError, match=r"lacks what a step of net found|does not show what the checks"):
        publish(run, tmp_path / "boards", partial=True)
