"""Whether what is published was made from what a plan would make it from."""

import errno
import json
import shutil
from pathlib import Path

import pytest
from support.boards import resealed

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.kept import read_record
from lrbench.leaderboard.published import PublishedState, check
from lrbench.leaderboard.published.state import boards_at, require_boards
from lrbench.store import Store

pytestmark = pytest.mark.usefixtures("unpictured")

STEP = "accuracy/net/seed-0"


@pytest.fixture
def boards(pair_boards, tmp_path):
    return shutil.copytree(pair_boards, tmp_path / "boards")


@pytest.fixture
def wanted(pair_run):
    return json.loads((pair_run / "plan.json").read_text("utf-8"))


def record(boards, model="net"):
    return boards / f"small/records/{model}.json"


def said(boards, wanted, packages=None):
    return [*PublishedState(boards, "small", wanted).lines(packages or {})]


def test_a_record_keeps_the_key_of_each_step_that_it_has_files_of(pair_run, boards):
    keys = {each.id: each.key for each in Store(pair_run).view().records()}
    for model in ("net", "lr"):
        kept = read_record(record(boards, model))
        assert kept["keys"] == {step: keys[step] for step in kept["artefacts"]}
        assert kept["keys"]
    assert check(boards) == 2


def test_a_board_of_this_plan_says_so(boards, wanted):
    (line,) = said(boards, wanted)
    kept = read_record(record(boards))["keys"] | read_record(record(boards, "lr"))["keys"]
    assert line.endswith(f"{len(kept)} of {len(kept)} steps, each as it would be made now")


def test_a_step_made_from_something_else_is_named_with_the_versions_that_differ(boards, wanted):
    assert STEP in wanted
    kept = sum(len(read_record(record(boards, each))["keys"]) for each in ("net", "lr"))
    packages = read_record(record(boards))["environments"][0]["packages"]
    here = packages | {"torch": "99.0"}
    line, other = said(boards, wanted | {STEP: "0" * 64}, here)
    assert f"{kept} of {kept} steps, 1 of them made from something else" in line
    assert other == f"made from something else: {STEP} (torch {packages['torch']}, here 99.0)"
    _, other = said(boards, wanted | {STEP: "0" * 64}, packages)
    assert other == f"made from something else: {STEP}", "the same versions are no reason"
    state = PublishedState(boards, "small", wanted | {STEP: "0" * 64})
    assert [step for step, same in state.same.items() if not same] == [STEP]


def test_what_is_not_published_and_what_is_not_planned_is_told_apart(boards, wanted):
    more = wanted | {"attack/net/seed-0/pgd/eps-99": "0" * 64}
    (line,) = said(boards, more)
    assert "each as it would be made now" in line
    there, planned = (int(each) for each in line.partition(": ")[2].partition(" steps")[0].split(" of "))
    assert planned == there + 1
    less = {step: key for step, key in wanted.items() if step != STEP}
    line, gone = said(boards, less)
    assert f"{there - 1} of {there - 1} steps" in line
    assert gone == f"published, and not in this plan: {STEP}"


@pytest.mark.parametrize("published", [True, False])
def test_parts_of_what_was_finished_as_a_whole_are_not_counted(boards, wanted, published):
    whole = said(boards, wanted)
    part = f"{STEP}/part-0"
    if published:

        def cut(content):
            content["artefacts"][part], content["keys"][part] = {}, "0" * 64
            content["steps"]["done"] += 1
            content["steps"]["planned"] += 1

        resealed(record(boards), cut)
    assert said(boards, wanted | {part: "0" * 64}) == whole
    assert said(boards, wanted | {part: "1" * 64}) == whole
    assert said(boards, wanted) == whole, "another part makes nothing again"


def test_what_is_called_otherwise_is_published_all_the_same(boards, wanted):
    renamed = {step.replace("/net/", "/other/"): key for step, key in wanted.items()}
    assert said(boards, renamed) == said(boards, wanted)


def test_names_that_changed_places_and_twins_are_each_found(boards, wanted):
    swapped = {
        step.replace("/net/", "/#/").replace("/lr/", "/net/").replace("/#/", "/lr/"): key
        for step, key in wanted.items()
    }
    assert said(boards, swapped) == said(boards, wanted)
    twins = wanted | {step.replace("/net/", "/twin/"): key for step, key in wanted.items() if "/net/" in step}
    (line,) = said(boards, twins)
    assert line.endswith("each as it would be made now")
    state = PublishedState(boards, "small", twins)
    assert state.same["train/net/seed-0"]
    assert state.same["train/twin/seed-0"]
    # A name that is taken anew: what it was is published under another, and itself it is not.
    anew = {step.replace("/net/", "/old/"): key for step, key in wanted.items()} | {STEP: "0" * 64}
    assert STEP not in PublishedState(boards, "small", anew).same


def test_versions_are_those_of_the_records_that_differ_and_builds_are_none(boards, wanted):
    def old(content):
        for environment in content["environments"]:
            environment["packages"] |= {"torch": "1.0", "pandas": "0.1", "lrbench": "0.0.1"}

    packages = read_record(record(boards))["environments"][0]["packages"]
    resealed(record(boards, "lr"), old)
    _, other = said(boards, wanted | {STEP: "0" * 64}, packages)
    assert other == f"made from something else: {STEP}", "the other record's versions are no reason"
    _, other = said(
        boards, wanted | {STEP: "0" * 64}, packages | {"torch": f"{packages['torch'].partition('+')[0]}+cu1"}
    )
    assert other == f"made from something else: {STEP}"
    _, other = said(boards, wanted | {"accuracy/lr/seed-0": "0" * 64}, packages)
    assert other.startswith("made from something else: accuracy/lr/seed-0 (torch 1.0, here ")
    assert "pandas" not in other
    assert "lrbench" not in other


def test_an_older_record_says_nothing_and_that_is_said(boards, wanted):
    def age(content):
        content["format"] = 4
        del content["keys"]

    resealed(record(boards), age)
    line, older = said(boards, wanted)
    assert "each as it would be made now" in line
    assert "does not say what net was made from" in older
    resealed(record(boards, "lr"), age)
    (older,) = said(boards, wanted)
    assert "does not say what net, lr was made from" in older


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("keys"),
        lambda content: content["keys"].pop(STEP),
        lambda content: content["keys"].update({STEP: "abc"}),
        lambda content: content["keys"].update({STEP: None}),
        lambda content: content["keys"].update({"accuracy/net/seed-9": "0" * 64}),
    ],
)
def test_a_record_of_this_format_without_a_key_or_with_a_strange_one_is_refused(boards, change):
    resealed(record(boards), change)
    with pytest.raises(UsageError, match=r"net\.json"):
        read_record(record(boards))


def test_the_command_says_it_and_its_list_says_it_of_each_step(pair_run, boards, tmp_path, capsys):
    asked = ["plan", str(pair_run / "suite.yaml"), "--out", str(tmp_path / "none"), "--published", str(boards)]
    assert main(asked) == 0
    assert "steps, each as it would be made now" in " ".join(capsys.readouterr().out.split())
    assert main([*asked, "--format", "json"]) == 0
    steps = json.loads(capsys.readouterr().out)
    assert all(step["published"] for step in steps if step["kind"] != "part")
    assert not (tmp_path / "none").exists()


def test_a_folder_without_boards_is_refused_before_any_image_is_read(tmp_path, capsys):
    suite = tmp_path / "suite.yaml"
    suite.write_text("name: s\ndata: {name: image-folder, path: nowhere}\nmodels: {net: {arch: resnet18}}\n", "utf-8")
    assert main(["plan", str(suite), "--published", str(tmp_path / "none")]) == 2
    assert "none is not there" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("name", ["small", "small/records", "small/records/net.json"])
def test_what_may_not_be_read_is_not_called_missing(name, boards, monkeypatch):
    """As another user sees it; whoever runs the tests may be allowed everything."""
    closed = boards / name

    def shut(ask):
        def asked(path, *args, **kwargs):
            if path == closed or closed in path.parents:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return ask(path, *args, **kwargs)

        return asked

    for ask in ("iterdir", "stat", "read_bytes"):
        monkeypatch.setattr(Path, ask, shut(getattr(Path, ask)))
    for asked in (lambda: PublishedState(boards, "small", {STEP: "0"}), lambda: check(boards)):
        with pytest.raises(UsageError, match=rf"cannot read {closed}.*: Permission denied"):
            asked()


def test_a_board_that_is_not_there_is_answered_in_a_line(pair_run, boards, tmp_path, capsys):
    shutil.move(boards / "small", boards / "smaller")
    asked = ["plan", str(pair_run / "suite.yaml"), "--out", str(tmp_path / "none"), "--published"]
    for folder, told in (
        (boards, "did you mean 'smaller'?"),
        (tmp_path / "nowhere", f"{tmp_path / 'nowhere'} is not there; name a folder of published boards"),
        (boards / "README.md", "README.md is a file; name a folder"),
        ("n" * 300, "file name too long"),
        ("s3://bucket/boards", "expected a folder on this machine, not a URL"),
        (tmp_path, f"no published boards in {tmp_path}; name their folder"),
        (boards / "smaller", f"is a board itself; name the folder that it is in, {boards}"),
    ):
        assert main([*asked, str(folder)]) == 2
        assert told in capsys.readouterr().err.replace("\n", " ")


def test_a_board_is_sent_to_the_folder_that_it_is_in_however_it_is_named(boards, tmp_path, monkeypatch):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/small").symlink_to(boards / "small")
    (tmp_path / "linked/other").symlink_to(boards / "small")
    monkeypatch.chdir(boards / "small/records")
    for named, above in (("..", boards), (boards / "small/", boards), (tmp_path / "linked/small", tmp_path / "linked")):
        with pytest.raises(UsageError, match=rf"is a board itself; name the folder that it is in, {above}"):
            require_boards(Path(named))
    monkeypatch.chdir(boards / "small")
    with pytest.raises(UsageError, match=rf"\. is a board itself; name the folder that it is in, {boards}"):
        require_boards(Path())
    assert boards_at(Path()) == boards
    assert boards_at(tmp_path / "linked/small") == tmp_path / "linked"
    assert boards_at(tmp_path / "linked/other") == boards
