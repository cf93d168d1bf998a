"""What the steps of a run share: models in memory, corrupted images."""

import pytest
import torch
from support.suites import TINY

import lrbench
from lrbench.models import Classifier
from lrbench.runner import Session
from lrbench.runner.context import Context
from lrbench.runner.reporter import Silent
from lrbench.runner.step import Step
from lrbench.runner.work import one_line

pytestmark = pytest.mark.usefixtures("undrawn")

SOURCES = """\
name: sources
data: {name: digits, train: 100, test: 40}
models:
  a: {arch: support.nets:staged, width: 4}
  b: {extends: a, training: {learning_rate: 0.02}}
  c: {extends: a, training: {learning_rate: 0.03}}
training: {epochs: 1, batch_size: 50}
threat_model: {space: pixel, eps: [16/255], samples: 10}
attacks: [{name: pgd, surrogate: a, steps: 2}, {name: pgd, surrogate: b, steps: 2}]
diagnostics: {variance_ratio: {layers: [avgpool], k: [1], class_wise: false}, masking: false}
"""


def test_a_model_attacked_from_two_sources_is_measured_on_itself(tmp_path):
    (tmp_path / "sources.yaml").write_text(SOURCES)
    board = lrbench.run(tmp_path / "sources.yaml", tmp_path / "out")
    assert board.failures == {}
    table = board.results
    assert len(table[(table["model"] == "c") & (table["metric"] == "d_adv")]) == 2


def test_a_step_gets_the_same_model_however_often_it_asks(suite_file, tmp_path):
    models = TINY.partition("training:")[0].replace("  lr: {", "  more: {extends: net, width: 8}\n  lr: {")
    suite_file.write_text(
        models.replace("seeds: [0, 1]\n", "") + "training: {epochs: 1, batch_size: 50, warmup_accuracy: 0}\n"
        "threat_model: {samples: 10}\nattacks: [fgsm]\ndiagnostics: {masking: false}\n"
    )
    lrbench.run(suite_file, tmp_path / "out")
    session = Session.open(suite_file, tmp_path / "out")
    context = Context(session.suite, session.data, torch.device("cpu"), session.store)

    def step(*models):
        return Step("attack/x", "attack", models[0], 0, {}, tuple(f"train/{model}/seed-0" for model in models))

    for needs in (("net", "lr"), ("lr", "more"), ("more", "net", "lr"), ("net", "lr")):
        positions = [*range(len(needs)), *reversed(range(len(needs)))]
        found = [context.trained(step(*needs), position) for position in positions]
        assert all(each is other for each, other in zip(found, reversed(found), strict=True))
        assert len(set(map(id, found))) == len(needs)
    context.trained(step("more"))
    assert len(context._loaded) <= 2, "a step leaves no more behind than its own models"


SWITCHED = """\
name: switched
data: {name: digits, train: 60, test: 30}
models:
  plain: {arch: support.nets:staged, width: 4}
  odd: {extends: plain, training: {deterministic: false}}
training: {epochs: 1, batch_size: 30}
threat_model: {space: pixel, eps: [16/255], samples: 10}
attacks: [{name: pgd, steps: 1}, {name: pgd, steps: 1, surrogate: odd}]
diagnostics: {masking: {samples: 10, steps: 2, queries: 2, draws: 1, unbounded: 2}}
"""


def test_deterministic_mode_is_left_out_for_a_model_that_switches_it_off(tmp_path, monkeypatch):
    seen = {"plain": set(), "odd": set()}
    forward = Classifier.forward
    taken = []

    class Starts(Silent):
        def start(self, step):
            taken.append(step)

    def watched(self, x):
        step = taken[-1]
        # A pass without gradients comes before an attack and takes none of its seeds.
        if step.kind in {"train", "masking"} or (step.kind == "attack" and torch.is_grad_enabled()):
            seen[step.model].add((step.id.split("/")[3] if step.kind == "attack" else step.kind, mode()))
        return forward(self, x)

    mode = torch.are_deterministic_algorithms_enabled
    monkeypatch.setattr(Classifier, "forward", watched)
    (tmp_path / "switched.yaml").write_text(SWITCHED)
    lrbench.run(tmp_path / "switched.yaml", tmp_path / "out", reporter=Starts())
    assert seen["odd"] == {("train", False), ("pgd", False), ("masking", False)}
    assert seen["plain"] == {("train", True), ("pgd", True), ("pgd-from-odd", False), ("masking", True)}


def test_an_operation_without_a_deterministic_form_is_answered_with_the_switch():
    error = RuntimeError(
        "reflection_pad2d_backward_cuda does not have a deterministic implementation, but you set "
        "'torch.use_deterministic_algorithms(True)'."
    )
    line = one_line(error)
    assert line.startswith("reflection_pad2d_backward_cuda has no deterministic form")
    assert "deterministic: false" in line
