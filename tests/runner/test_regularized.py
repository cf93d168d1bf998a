"""Regularizers against a suite's models, before anything is trained: also those of anybody's code."""

import importlib
import re

import pytest
import torch
import yaml
from torch import nn

import lrbench
from lrbench.cli import main
from lrbench.models.objects import Handed, handed_over
from lrbench.runner.regularized import misfits, without_memory
from lrbench.suite import ModelSpec, Training


def asking(num_classes, in_channels, tied: bool = False):
    """Ask for values while it is built, as drop path rates and checks of weights do."""
    rates = [each.item() for each in torch.linspace(0, 0.1, 3)]
    first, second = nn.Linear(64 * in_channels, 64), nn.Linear(64, 64)
    if float(first.weight.detach().abs().sum()) > 0 and tied:
        second.weight = first.weight
    return nn.Sequential(nn.Flatten(), first, nn.Dropout(rates[1]), second, nn.Linear(64, num_classes))


class Looks(lrbench.Regularizer):
    """Asks for a weight's value when it is attached."""

    class Options(lrbench.Options):
        fails: bool = False

    def attach(self, model):
        size = float(next(model.parameters()).detach().abs().sum())
        if self.options.fails:
            raise KeyError(f"size {size > 0}")


@pytest.fixture(autouse=True)
def _registered():
    lrbench.register_model("asking")(asking)
    lrbench.register_regularizer("looks")(Looks)


def found(digits, regularizers, **keys):
    spec = ModelSpec.model_validate({"arch": "asking", "regularizers": regularizers, **keys})
    return list(misfits(spec, Training(), digits))


EACH = [
    {"srn": {}}, {"spectral_norm": {}}, {"low_rank_weights": {}}, {"condlr": {}}, {"jacobian": {}},
    {"nuclear_norm": {"layers": ["1"]}}, {"mean_sparse": {"layers": ["1"]}}, {"looks": {}}, {"looks": {}, "srn": {}},
]  # fmt: skip


@pytest.mark.parametrize("regularizers", EACH, ids=str)
def test_what_asks_for_values_is_looked_at_with_values(digits, regularizers):
    before = torch.get_rng_state()
    assert found(digits, regularizers) == []
    assert torch.equal(torch.get_rng_state(), before)


def test_what_anybody_s_code_raises_is_a_line(digits):
    assert found(digits, {"looks": {"fails": True}}) == [("looks", "cannot be attached: KeyError: 'size True'")]


def test_ties_are_seen_without_values(digits):
    ((name, message),) = found(digits, {"condlr": {}}, tied=True)
    assert (name, message[:35]) == ("condlr", "1 and 3 share their weight, which f")
    net = without_memory(asking(10, 1, tied=True))
    assert net[1].weight is net[3].weight
    assert all(each.is_meta for each in net.parameters())


def test_a_network_that_was_handed_over_keeps_its_values(digits):
    net = asking(10, 1)
    with handed_over({"net": Handed(net)}):
        assert found(digits, {"mean_sparse": {"layers": ["1"]}}, arch="object:net", train=False) == []
    assert not any(each.is_meta for each in net.parameters())


def test_an_onnx_file_is_looked_at_as_a_network(digits, tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnx2torch")
    graph = importlib.import_module("support.graphs").graph
    monkeypatch.chdir(tmp_path)
    onnx.save(graph(transB=1), "net.onnx")
    sparse = {"mean_sparse": {"layers": ["net/Flatten"]}}
    assert found(digits, sparse, arch="net.onnx", train=False) == []


TOGETHER = [
    ({"srn": {}, "condlr": {"layers": ["fc"]}}, r"regularizers\.srn: sets the weight of fc, as condlr does"),
    ({"srn": {"layers": []}}, r"regularizers\.srn\.layers: .*at least 1 item"),
    ({"condlr": {"layers": ["fc", "fc"]}}, r"regularizers\.condlr\.layers: fc is named twice"),
]


@pytest.mark.parametrize(("regularizers", "words"), TOGETHER, ids=str)
def test_what_cannot_be_is_told_by_plan_and_run(regularizers, words, tmp_path, capsys):
    net = {"arch": "resnet18", "width": 1, "regularizers": regularizers}
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"name": "r", "data": "digits", "models": {"net": net}}))
    for command in ("plan", "run"):
        assert main([command, str(path), "--out", str(tmp_path / "run")]) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert re.search(words, said)
