import json
import os

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from support.suites import TINY

import lrbench
from lrbench.attacks import IterFSGM, NormalizedSpace, l2_dissimilarity
from lrbench.data import to_unit
from lrbench.diagnostics import activations, variance_ratio
from lrbench.errors import LrbenchError, UsageError
from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.published import publish
from lrbench.models import load_checkpoint
from lrbench.runner import Session
from lrbench.runner.context import Context
from lrbench.runner.reporter import Silent


class Recorder(Silent):
    def __init__(self, stop_after=None):
        self.taken, self.notes, self.stop_after = [], [], stop_after

    def start(self, step):
        self.taken.append(step.id)
        if self.stop_after is not None and len(self.taken) > self.stop_after:
            raise KeyboardInterrupt

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(TINY)
    return folder, lrbench.run(folder / "tiny.yaml", out=folder / "out")


def figure(board, **where):
    rows = board.results
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_a_finished_folder_holds_what_was_promised(finished):
    folder, board = finished
    out = folder / "out"
    there = {path.name for path in out.iterdir()} - {".lock"}
    tables = {"results.csv", "leaderboard.csv", "leaderboard.md", "leaderboard.json", "masking.json", "status.json"}
    tables |= {"suite.yaml", "environment.json", "plan.json", "timings.csv"}
    assert there == tables | {"steps", "environments", "figures", "report.html"}
    assert (out / "results.csv").read_text() == board.results_csv()
    environment = json.loads((out / "environment.json").read_text())
    assert environment["packages"]["torch"]
    as_run = yaml.safe_load((out / "suite.yaml").read_text())
    assert as_run["training"]["momentum"] == 0.9


def test_every_figure_of_every_model_and_seed_is_there(finished):
    _, board = finished
    counts = board.results.groupby(["model", "seed"])["metric"].value_counts()
    for model in ("net", "lr"):
        for seed in (0, 1):
            assert counts[model, seed, "misclassification"] == 1 + 2 * 2 + 2  # clean, two attacks, their worst case
            assert counts[model, seed, "verdict"] == 1
            assert counts[model, seed, "d_adv"] == 2 * 2 * 2
            assert counts[model, seed, "class_vr_mean"] == 2
            assert counts[model, seed, "auc_l2"] == 2
            assert counts[model, seed, "embedding_accuracy"] >= 1
    assert set(board.results["space"]) == {"", "normalized"}


def test_figures_equal_those_computed_by_hand(finished):
    folder, board = finished
    session = Session.open(folder / "tiny.yaml", folder / "out")
    context = Context(session.suite, session.data, torch.device("cpu"), session.store)
    model = load_checkpoint(context.build("lr"), folder / "out" / "steps" / "train" / "lr" / "seed-1").eval()
    test = session.data.test
    accuracy = (model(to_unit(test.images)).argmax(dim=1) == test.labels).double().mean().item()
    assert figure(board, model="lr", seed=1, metric="accuracy")["value"] == accuracy

    attacked = test.balanced(20)
    space = NormalizedSpace(model, *session.data.statistics)
    z = space.encode(to_unit(attacked.images))
    z_adv = IterFSGM(32 / 255, bounds=None)(space, z, attacked.labels)
    row = figure(board, model="lr", seed=1, attack="iter-fsgm", eps=32 / 255, metric="misclassification")
    wrong = space(z_adv).argmax(dim=1) != attacked.labels
    assert row["value"] == wrong.double().mean().item()
    assert row["n"] == 20
    outcomes = load_file(folder / "out/steps/attack/lr/seed-1/iter-fsgm/eps-32/outcomes.safetensors")
    assert torch.equal(outcomes["predicted"] != outcomes["label"], wrong)
    assert torch.allclose(outcomes["l2_dissimilarity"], l2_dissimilarity(z_adv, z))

    held = activations(model, session.data.train, ["avgpool"])["avgpool"]
    shifted = held + model.lr_layers["avgpool"].bias
    row = figure(board, model="lr", seed=1, layer="avgpool", metric="vr", k="1")
    assert row["value"] == pytest.approx(variance_ratio(shifted, 1), abs=1e-9)
    assert not np.isclose(row["value"], variance_ratio(held, 1), atol=1e-9)


def test_a_second_run_takes_no_step_and_gives_the_same(finished):
    folder, board = finished
    recorder = Recorder()
    before = {path: path.stat().st_mtime_ns for path in (folder / "out" / "steps").rglob("*")}
    again = lrbench.run(folder / "tiny.yaml", out=folder / "out", reporter=recorder)
    assert recorder.taken == []
    assert again.results_csv() == board.results_csv()
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "out" / "steps").rglob("*")}


def test_a_stopped_run_continues_where_it_stopped_and_ends_the_same(finished, suite_file, tmp_path):
    _, board = finished
    first, second = Recorder(stop_after=11), Recorder()
    with pytest.raises(KeyboardInterrupt):
        lrbench.run(suite_file, out=tmp_path / "out", reporter=first)
    assert (tmp_path / "out" / "results.csv").exists(), "what is done is shown"
    progress = f"11 of {len(Session.open(suite_file, tmp_path / 'out').plan)} steps done"
    assert progress in (tmp_path / "out" / "leaderboard.md").read_text()
    assert Leaderboard.load(tmp_path / "out").status.progress == progress
    with pytest.raises(UsageError, match=f"is not finished: {progress}"):
        publish(tmp_path / "out", tmp_path / "to")
    again = lrbench.run(suite_file, out=tmp_path / "out", reporter=second)
    assert second.taken[0] == first.taken[-1]
    assert not set(first.taken[:-1]) & set(second.taken)
    assert again.results_csv() == board.results_csv()
    assert again.status.progress == ""
    assert "steps done" not in (tmp_path / "out" / "report.html").read_text()


def test_a_change_makes_just_the_affected_steps_again(finished, tmp_path):
    folder, _ = finished
    text = (folder / "tiny.yaml").read_text()

    def states(old, new):
        path = tmp_path / "changed.yaml"
        path.write_text(text.replace(old, new))
        pending = Session.open(path, folder / "out")
        return {step: state for step, state in pending.states.items() if state != "done"}

    assert states("seeds", "seeds") == {}
    narrower = states("k: [1, 10]", "k: [1]")
    assert set(narrower) == {f"variance_ratio/{model}/seed-{seed}" for model in ("net", "lr") for seed in (0, 1)}
    assert narrower["variance_ratio/net/seed-0"] == "changed: k [1, 10] -> [1]"
    wider = states("eps: [8/255,", "eps: [8/255, 16/255,")
    attacks = {step: state for step, state in wider.items() if step.startswith("attack/")}
    assert all(step.endswith("eps-16") and state == "new" for step, state in attacks.items())
    assert len(attacks) == 8
    # The middle radius is another, and the worst case is over more.
    assert {step.split("/")[0] for step in wider} == {"attack", "masking", "worst", "difference"}
    retrained = states("{avgpool: 5}", "{avgpool: 4}")
    assert retrained["train/lr/seed-0"] == "changed: lr_layers.avgpool.rank 5 -> 4"
    assert retrained["accuracy/lr/seed-0"] == "changed: the model it measures"
    assert not any("/net/" in step for step in retrained)
    data = states("train: 200", "train: 190")
    assert data["train/net/seed-0"] == "changed: the data set"
    assert len(data) == len(Session.open(folder / "tiny.yaml", folder / "out").plan)
    assert set(states("seeds: [0, 1]", "seeds: [1, 2]")) == {
        step.id
        for step in Session.open(tmp_path / "changed.yaml", folder / "out").plan
        if step.seed == 2 or step.kind == "difference"
    }


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_damaged_artefact_is_named_and_made_again(suite_file, tmp_path):
    out = tmp_path / "out"
    board = lrbench.run(suite_file, out=out)
    weights = out / "steps/train/net/seed-0/weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (out / "steps/accuracy/net/seed-0/step.json").write_text("{half a reco")
    session = Session.open(suite_file, out)
    assert session.states["train/net/seed-0"] == "damaged: weights.safetensors"
    recorder = Recorder()
    again = session.run(recorder)
    assert recorder.taken == ["train/net/seed-0", "accuracy/net/seed-0"]
    assert again.results_csv() == board.results_csv()
    assert not [path for path in out.rglob("*") if path.name.startswith(".") and path.name != ".lock"]


@pytest.mark.usefixtures("undrawn")
def test_lr_layers_that_never_acted_are_mentioned(suite_file, tmp_path):
    suite_file.write_text(suite_file.read_text().replace("warmup_accuracy: 0.0", "warmup_accuracy: 1.0"))
    recorder = Recorder()
    lrbench.run(suite_file, out=tmp_path / "out", reporter=recorder)
    assert [note for note in recorder.notes if "lr, seed 0" in note and "never acted" in note]
    with pytest.raises(UsageError, match=r"never acted with seed 0, 1, .* did not reach 1 .* --as-is"):
        publish(tmp_path / "out", tmp_path / "to")
    assert not (tmp_path / "to").exists()
    publish(tmp_path / "out", tmp_path / "to", as_is=True)
    for name in ("README.md", "index.html", "tiny/README.md", "tiny/leaderboard.csv", "tiny/records/lr.json"):
        text = (tmp_path / "to" / name).read_text()
        assert "never acted with seed 0, 1" in text, name
    assert "never acted" not in (tmp_path / "to/tiny/records/net.json").read_text()


@pytest.mark.usefixtures("undrawn")
def test_a_training_that_diverges_says_which_and_the_rest_continues(suite_file, tmp_path):
    text = suite_file.read_text().replace(
        "  lr: {extends: net,", "  lr: {extends: net, training: {learning_rate: 0.01},"
    )
    text = text.partition("diagnostics:")[0] + "diagnostics: {masking: false}\n"
    suite_file.write_text(text.replace("learning_rate: 0.05", "learning_rate: 1.0e+20, gradient_clip: null"))
    board = lrbench.run(suite_file, out=tmp_path / "out")
    assert "not finite in epoch 1; lower training.learning_rate" in board.failures["train/net/seed-0"]
    assert board.failures["accuracy/net/seed-0"] == "needs train/net/seed-0, which failed"
    assert set(board.results["model"]) == {"lr"}


def test_one_folder_one_suite_one_writer(suite_file, tmp_path):
    out = tmp_path / "out"
    session = Session.open(suite_file, out)
    with (
        session.store.writing(),
        pytest.raises(UsageError, match=rf"another run is writing .*process {os.getpid()} on"),
    ):
        lrbench.run(suite_file, out=out)
    assert not (out / ".owner").exists()
    out.mkdir(exist_ok=True)
    (out / "suite.yaml").write_text("name: another\n")
    with pytest.raises(UsageError, match="holds a run of the suite 'another'"):
        Session.open(suite_file, out)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        Session.open(suite_file, tmp_path / "file")


@pytest.mark.usefixtures("undrawn")
def test_a_user_s_model_joins_with_a_decorator(suite_file, tmp_path):
    @lrbench.register_model("two-layers")
    def two_layers(num_classes: int, in_channels: int, hidden: int = 16):
        return torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(64 * in_channels, hidden),
            torch.nn.ReLU(),
            torch.nn.Linear(hidden, num_classes),
        )

    text = suite_file.read_text()
    head, _, _ = text.partition("models:")
    suite_file.write_text(
        head + "models:\n  mine: {arch: two-layers, hidden: 24, lr_layers: {'2': 4}}\n"
        "training: {epochs: 1, warmup_accuracy: 0}\nthreat_model: {samples: 10}\nattacks: [iter-fsgm]\n"
    )
    board = lrbench.run(suite_file, out=tmp_path / "out")
    assert list(board.table().index) == ["mine"]
    assert figure(board, seed=0, metric="lr_layer_epochs")["value"] == 1


def test_devices_that_are_not_there_are_named(suite_file, tmp_path):
    for device in ("cuda:99", "gpu"):
        with pytest.raises(UsageError, match="valid: auto, cpu"):
            Session.open(suite_file, tmp_path / "out", device=device)


def test_a_folder_that_cannot_be_written_is_named(suite_file, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LrbenchError, match="file is no folder"):
        lrbench.run(suite_file, out=tmp_path / "file" / "out")
