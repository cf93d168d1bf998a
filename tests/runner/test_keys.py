"""What makes a step again: what its result depends on, all of it and nothing else; and the reason that is given."""

import shutil
import sys

import numpy as np
import pytest
from support.code import forget_changes, install, touch
from support.keyed import written

import lrbench
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.published import publish
from lrbench.runner import Session
from lrbench.runner.reporter import Silent
from lrbench.runner.share import Share


class Recorder(Silent):
    def __init__(self):
        self.taken, self.notes = [], []

    def start(self, step):
        self.taken.append(step.id)

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module", autouse=True)
def no_views():
    """Figures and report take most of such a run, and are not looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[Session.__module__], "write_views", lambda *_, **__: None)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, no_views):  # noqa: ARG001
    folder = tmp_path_factory.mktemp("keyed")
    path = written(folder)
    return path, lrbench.run(path, folder / "out")


@pytest.fixture
def copied(finished, tmp_path):
    """The suite's file, and a copy of its finished folder that may be resumed."""
    path = tmp_path / "keyed.yaml"
    path.write_text(finished[0].read_text())
    shutil.copytree(finished[0].parent / "out", tmp_path / "out")
    return path


@pytest.fixture(autouse=True)
def read_anew():
    yield
    forget_changes()


def edited(path, *changes):
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def resumed(path):
    recorder = Recorder()
    board = lrbench.run(path, path.parent / "out", reporter=recorder)
    assert not board.failures
    return board, recorder


def states(path):
    return {step: state for step, state in Session.open(path, path.parent / "out").states.items() if state != "done"}


def test_a_radius_more_makes_its_own_steps_and_what_joins_them(copied):
    before = Run.open(copied.parent / "out").wrong("second", 0)
    edited(copied, ("eps: [8/255, 32/255], samples", "eps: [4/255, 8/255, 32/255], samples"))
    reasons = states(copied)
    assert (
        reasons["masking/first/seed-0"]
        == "changed: the radius of the checks, by default the middle one, 32/255 -> 8/255, its inputs"
    )
    assert reasons["worst/first/seed-0"].startswith("changed: 4/255 more, ")
    _, recorder = resumed(copied)
    assert {step for step in recorder.taken if step.startswith("attack")} == {
        "attack/first/seed-0/pgd/eps-4",
        "attack/second/seed-0/pgd/eps-4",
    }
    others = {step.split("/")[0] for step in recorder.taken if not step.startswith("attack")}
    assert others == {"masking", "worst", "difference"}
    after = Run.open(copied.parent / "out").wrong("second", 0)
    assert all(np.array_equal(after[key], wrong) for key, wrong in before.items()), "a column is that of its radius"
    assert len(after) == len(before) + 3  # PGD, FAB, and the worst case at the new radius


def test_rows_of_a_minimal_attack_at_each_radius_do_not_rest_on_its_search(finished):
    path, board = finished
    table = board.results
    mine = table[(table["attack"] == "fab-t") & (table["metric"] == "misclassification")]
    assert sorted(set(mine["eps"])) == [8 / 255, 32 / 255]
    search = next(step for step in Session.open(path, path.parent / "out").plan if step.kind == "minimal")
    assert search.config["threat_model"]["eps"] is None
    assert "radii" not in str(search.config)


@pytest.mark.parametrize(
    "changes",
    [
        [("  first: {", "  renamed: {"), ("surrogate: first", "surrogate: renamed, label: pgd-from-first")],
        [
            ("{name: pgd, steps: 2}", "{name: pgd, label: strong, steps: 2}"),
            ("{name: fab-t,", "{name: fab-t, label: f,"),
        ],
        [
            ("  first: {", "  x: {"),
            ("  second: {", "  first: {"),
            ("  x: {", "  second: {"),
            ("surrogate: first", "surrogate: second"),
        ],
    ],
)
def test_names_make_nothing_again(finished, copied, changes):
    edited(copied, *changes)
    assert states(copied) == {}, "a plan promises what a run keeps"
    board, recorder = resumed(copied)
    assert recorder.taken == []
    assert any(note.startswith("renamed, not run again: ") for note in recorder.notes)
    names = ["attack", "model"]
    values = [column for column in board.results.columns if column not in {*names, "suite"}]
    old, new = (each.results.sort_values(["metric", "check", "eps", "value", *names]) for each in (finished[1], board))
    assert [tuple(row) for row in old[values].astype(str).itertuples(index=False)] == [
        tuple(row) for row in new[values].astype(str).itertuples(index=False)
    ]
    table = Run.open(copied.parent / "out").board
    assert set(table.suite["models"]) == set(board.results["model"])
    assert {attack["label"] for attack in table.suite["attacks"]} < set(board.results["attack"])
    fooling = board.results[board.results["metric"] == "first_to_fool"]
    assert set(fooling["attack"]) <= {attack["label"] for attack in table.suite["attacks"]}
    assert not any("called otherwise" in note for note in resumed(copied)[1].notes)


def test_one_attack_called_two_is_counted_anew_and_not_made_anew(copied):
    edited(
        copied,
        (
            "{name: pgd, steps: 2}",
            "{name: pgd, steps: 2, eps: [8/255]}\n  - {name: pgd, label: far, steps: 2, eps: [32/255]}",
        ),
    )
    _, recorder = resumed(copied)
    assert {step.split("/")[0] for step in recorder.taken} == {"worst", "difference"}


def test_a_share_leaves_what_was_renamed_to_the_share_it_belongs_to(copied):
    edited(copied, ("  first: {", "  renamed: {"), ("surrogate: first", "surrogate: renamed, label: pgd-from-first"))
    session = Session.open(copied, copied.parent / "out")
    assert session.run_share(Share(("train/*",)), Recorder()) == {}
    steps = copied.parent / "out/steps"
    assert (steps / "train/renamed/seed-0/step.json").exists()
    assert not (steps / "accuracy/renamed").exists()
    assert Session.open(copied, copied.parent / "out").run_share(Share(("accuracy/*",)), Recorder()) == {}
    assert (steps / "accuracy/renamed/seed-0/step.json").exists()


@pytest.mark.usefixtures("unpictured")
def test_what_no_plan_names_any_more_enters_no_table_and_no_record(copied):
    edited(
        copied, ("{name: pgd, steps: 2}", "{name: pgd, label: strong, steps: 2}"), ("[8/255, 32/255], s", "[32/255], s")
    )
    edited(copied, ("{name: fab-t,", "{name: fab-t, label: f,"))
    board, _ = resumed(copied)
    out = copied.parent / "out"
    assert (out / "steps/attack/first/seed-0/pgd/eps-8/step.json").exists(), "it is there if its name returns"
    assert set(board.results["attack"]) == {"", "strong", "f", "pgd-from-first", "worst-case"}
    assert set(board.results["eps"].dropna()) == {0.0, 32 / 255}
    publish(out, copied.parent / "boards")
    record = (copied.parent / "boards/keyed/records/first.json").read_text()
    assert "attack/first/seed-0/strong/eps-32" in record
    assert "seed-0/pgd/" not in record


def test_a_user_s_helper_makes_the_model_again_and_what_is_measured_of_it(finished, monkeypatch):
    path, _ = finished
    touch(monkeypatch, f"{path.parent.name}/helpers.py", "return 12", "return 13")
    found = {step: state for step, state in Session.open(path, path.parent / "out").states.items() if state != "done"}
    assert found["train/first/seed-0"] == "changed: helpers.py, which mine.py imports"
    assert found["attack/first/seed-0/pgd/eps-8"] == "changed: the model it measures"
    assert found["attack/second/seed-0/pgd-from-first/eps-32"] == "changed: the surrogate model"
    of_second = {step for step in found if "/second/" in step}
    joint = {"masking/second/seed-0", "worst/second/seed-0", "difference/second/all-seeds"}
    assert of_second == joint | {"attack/second/seed-0/pgd-from-first/eps-32"}
    assert len([step for step in found if "/first/" in step]) == 7


def test_what_builds_models_makes_all_that_is_measured_again(finished, monkeypatch):
    path, _ = finished
    touch(monkeypatch, "runner/context.py", "None if finished else spec.weights_file", "spec.weights_file")
    session = Session.open(path, path.parent / "out")
    assert session.states["train/first/seed-0"] == "changed: the code of lrbench/runner/context.py"
    assert {step for step, state in session.states.items() if state == "done"} == set()


def test_a_version_of_torch_makes_everything_again(finished, monkeypatch):
    path, _ = finished
    version = lrbench.runner.code.libraries.version_of("torch").partition("+")[0]
    install(monkeypatch, "torch", f"{version}+cu999")
    assert Session.open(path, path.parent / "out").pending == [], "another build of the same source"
    install(monkeypatch, "torch", "99.1")
    found = Session.open(path, path.parent / "out").states
    assert found["train/second/seed-0"] == f"changed: torch {version} -> 99.1"
    assert "done" not in found.values()


@pytest.mark.parametrize(
    ("ending", "old", "new", "kinds"),
    [
        ("attacks/fab.py", "return", "return None or", {"fab-t", "masking", "worst", "difference"}),
        (
            "attacks/noise.py",
            "digest_size=8",
            "digest_size=9",
            {"pgd", "pgd-from-first", "fab-t", "masking", "worst", "difference"},
        ),
        ("diagnostics/masking/strength.py", "return", "return None or", {"masking"}),
        ("lrbench/strict.py", "return", "return None or", set()),
        ("runner/run.py", "return", "return None or", set()),
        ("diagnostics/variance.py", "return", "return None or", set()),
    ],
)
def test_code_makes_those_steps_again_that_lead_to_it(finished, monkeypatch, ending, old, new, kinds):
    path, _ = finished
    touch(monkeypatch, ending, old, new)
    found = {step for step, state in Session.open(path, path.parent / "out").states.items() if state != "done"}
    assert {step.split("/")[3] if step.startswith("attack") else step.split("/")[0] for step in found} == kinds


def test_low_rank_code_counts_where_there_are_lr_layers(finished, monkeypatch):
    path, _ = finished
    touch(monkeypatch, "lowrank/projection.py", "return", "return None or")
    found = Session.open(path, path.parent / "out").states
    assert found["train/second/seed-0"] == "changed: the code of lrbench/lowrank/projection.py"
    assert {step for step, state in found.items() if state != "done" and "/first/" in step} == set()
