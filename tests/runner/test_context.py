"""What the steps of a run share: models in memory, corrupted images."""

import torch
from support.suites import TINY

import lrbench
from lrbench.runner.context import Context
from lrbench.runner.plan import Step
from lrbench.runner.run import Session

SOURCES = """\
name: sources
data: {name: digits, train: 100, test: 40}
models:
  a: {arch: resnet18, width: 4}
  b: {extends: a, training: {learning_rate: 0.02}}
  c: {extends: a, training: {learning_rate: 0.03}}
training: {epochs: 1, batch_size: 50}
threat_model: {space: pixel, eps: [16/255], samples: 10}
attacks: [{name: pgd, source: a, steps: 2}, {name: pgd, source: b, steps: 2}]
diagnostics: {variance_ratio: {layers: [avgpool], k: [1], class_wise: false}, masking: false}
"""


def test_a_model_attacked_from_two_sources_is_measured_on_itself(tmp_path):
    (tmp_path / "sources.yaml").write_text(SOURCES)
    board = lrbench.run(tmp_path / "sources.yaml", tmp_path / "out")
    assert board.failures == {}
    table = board.results
    assert len(table[(table["model"] == "c") & (table["metric"] == "d_adv")]) == 2


def test_a_step_gets_the_same_model_however_often_it_asks(suite_file, tmp_path):
    suite_file.write_text(TINY.replace("  lr: {", "  more: {extends: net, width: 8}\n  lr: {"))
    lrbench.run(suite_file, tmp_path / "out")
    session = Session.open(suite_file, tmp_path / "out")
    context = Context(session.suite, session.data, torch.device("cpu"), session.store)

    def step(*models):
        return Step("attack/x", "attack", models[0], 0, {}, tuple(f"train/{model}/seed-0" for model in models))

    for needs in (("net", "lr"), ("lr", "more"), ("more", "net", "lr"), ("net", "lr")):
        places = [*range(len(needs)), *reversed(range(len(needs)))]
        found = [context.trained(step(*needs), place) for place in places]
        assert all(each is other for each, other in zip(found, reversed(found), strict=True))
        assert len(set(map(id, found))) == len(needs)
    context.trained(step("more"))
    assert len(context._loaded) <= 2, "a step leaves no more behind than its own models"
