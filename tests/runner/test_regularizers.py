"""Models with regularizers through a run: their keys, and what their networks are afterwards."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import lrbench
from lrbench.cli import main
from lrbench.regularizers.mean_sparse import Sparse
from lrbench.runner.configs import train_config
from lrbench.suite import Suite

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: rivals
data: {name: digits, train: 150, test: 40}
models:
  sparse: {extends: net, init_from: net, train: false, regularizers: {mean_sparse: {threshold: 0.4}}}
  net: {arch: resnet18, width: 4}
  condlr: {extends: net, regularizers: {condlr: {}}, training: {averaging: {decay: 0.9}}}
  jacobian: {extends: net, lr_layers: {avgpool: 4}, regularizers: {jacobian: {}}}
training: {epochs: 1, batch_size: 50, warmup_accuracy: 0}
threat_model: {eps: [8/255], samples: 20}
attacks: [{name: pgd, steps: 1}]
diagnostics: {masking: false}
"""
NEXT = "\n  next: {extends: net, init_from: sparse}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rivals")
    (folder / "rivals.yaml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrbench.runner.figures._made", lambda *_, **__: {})
        assert main(["run", str(folder / "rivals.yaml"), "--out", str(folder / "run")]) == 0
    return folder


def test_what_is_left_is_a_plain_network_but_for_what_stays_in_it(finished):
    plain = {name: type(each) for name, each in lrbench.load_model(finished / "run", "net").named_modules()}
    condlr = lrbench.load_model(finished / "run", "condlr")
    assert {name: type(each) for name, each in condlr.named_modules()} == plain
    sizes = torch.linalg.svdvals(condlr.net.layer4[0].conv1.weight.detach().flatten(1))
    assert (sizes[8:] < 1e-5 * sizes[0]).all()


def test_mean_sparse_is_its_base_with_thresholds(finished):
    base, sparse = (lrbench.load_model(finished / "run", name) for name in ("net", "sparse"))
    x, _ = lrbench.load_data(finished / "run")
    assert torch.equal(base.net.conv1.weight, sparse.net.conv1.weight)
    found = [each for each in sparse.modules() if isinstance(each, Sparse)]
    assert len(found) == sum(isinstance(each, nn.BatchNorm2d) for each in base.modules())
    assert not torch.allclose(base(x), sparse(x), atol=1e-3)
    for each in found:
        assert (each.width > 0).any()
        each.width.fill_(-1.0)
    torch.testing.assert_close(sparse(x), base(x))


def test_a_description_says_how_to_build_it_again(finished):
    found = {path.parts[-3]: json.loads(path.read_text()) for path in (finished / "run/steps").rglob("model.json")}
    assert found["sparse"]["regularizers"] == {"mean_sparse": {"threshold": 0.4, "layers": None, "batch_size": 500}}
    assert "regularizers" not in found["net"]


def test_the_history_has_the_penalties(finished):
    path = finished / "run/steps/train/jacobian/seed-0/history.json"
    (log,) = json.loads(path.read_text())
    assert log["penalties"]["jacobian"] > 0
    assert log["layers"]["avgpool"]["reconstruction"] > 0


def test_a_second_run_has_nothing_to_do_and_other_options_train_again(finished, capsys):
    def planned(text):
        (finished / "again.yaml").write_text(text)
        assert main(["plan", str(finished / "again.yaml"), "--out", str(finished / "run"), "--format", "json"]) == 0
        return {each["step"]: each["state"] for each in json.loads(capsys.readouterr().out)}

    assert set(planned(SUITE).values()) == {"done"}
    changed = planned(SUITE.replace("condlr: {}", "condlr: {condition: 4}"))
    assert {step.split("/")[1] for step, state in changed.items() if state != "done"} == {"condlr"}


def test_a_network_with_thresholds_is_no_start_for_another(tmp_path, capsys):
    (tmp_path / "next.yaml").write_text(SUITE.replace("\ntraining:", NEXT + "\ntraining:"))
    assert main(["plan", str(tmp_path / "next.yaml"), "--out", str(tmp_path / "run")]) == 2
    assert "models.next.init_from: 'sparse' is no network to start from" in capsys.readouterr().err


DATA = SimpleNamespace(classes=("a", "b"), outputs=None, train_fingerprint="x")


def test_keys_hold_what_is_new_only_where_it_is_given():
    def config(**keys):
        net = {"arch": "resnet18", "width": 4, **keys}
        return train_config(
            Suite.model_validate({"name": "k", "data": "digits", "models": {"net": net}}), DATA, "net", 0
        )

    plain = config()
    assert "regularizers" not in plain
    assert "averaging" not in plain["training"]
    assert not {"lrbench/regularizers/srn.py", "lrbench/training/averaging.py"} & set(plain["code"])
    given = config(regularizers={"srn": {}}, training={"averaging": {}})
    assert given["regularizers"] == {"srn": {"target": 0.3, "spectral": True, "layers": None}}
    assert {"lrbench/regularizers/srn.py", "lrbench/training/averaging.py"} <= set(given["code"])
    assert "lrbench/regularizers/condlr.py" not in given["code"]


def test_a_regularizer_of_this_process_is_refused_where_steps_run_in_others(tmp_path, capsys):
    @lrbench.register_regularizer("shrink")
    class Shrink(lrbench.Regularizer):
        """Makes weights small."""

    (tmp_path / "own.yaml").write_text(SUITE.replace("jacobian: {}", "shrink: {}"))
    assert main(["run", str(tmp_path / "own.yaml"), "--out", str(tmp_path / "run"), "--jobs", "2"]) == 2
    assert "the regularizer 'shrink' is registered in this process alone" in capsys.readouterr().err
    assert Shrink.__doc__
