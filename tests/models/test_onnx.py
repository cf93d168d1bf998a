"""A network that is not torch's: an ONNX file through `register` and a suite."""

import importlib

import numpy as np
import pytest
import torch
from support.graphs import WEIGHTS, graph

import lrbench
from lrbench.catalogue import MODELS
from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.runner import Session, register

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx2torch")

SUITE = """\
name: graph
data: {name: digits, train: 60, test: 40}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm, {name: square, queries: 2}]
diagnostics: {masking: false, variance_ratio: {layers: [net/Flatten], k: [1]}}
models:
  graph: {arch: net.onnx}
  trained-on: {arch: net.onnx, train: true, training: {epochs: 1, batch_size: 30, learning_rate: 0.01}}
"""


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(register, "called", lambda _: {})
    monkeypatch.setattr(importlib.import_module("lrbench.runner.session"), "write_views", lambda *_, **__: None)


def write(**options):
    onnx.save(graph(transB=1, **options), "net.onnx")


def built(name="net.onnx"):
    return MODELS[name].load()().eval()


@pytest.mark.parametrize("opset", [13, 17, 23])
def test_it_computes_what_the_graph_says_with_gradients_and_named_layers(opset):
    write(opset=opset)
    net, x = built(), torch.rand(3, 1, 8, 8).requires_grad_()
    expected = x.detach().flatten(1).numpy() @ WEIGHTS["w"].T + WEIGHTS["b"]
    assert np.allclose(net(x).detach().numpy(), expected, atol=1e-5)
    (gradient,) = torch.autograd.grad(net(x)[:, 0].sum(), x)
    assert np.allclose(gradient[0].flatten().numpy(), WEIGHTS["w"][0], atol=1e-6)
    assert {"net/Flatten", "net/Gemm"} <= {name for name, _ in net.named_modules()}


def test_it_goes_through_register_and_a_suite(tmp_path, capsys):
    write()
    assert main(["register", "graph", "--factory", "net.onnx"]) == 0
    assert "on 200 test images, normalised by the data set's statistics" in capsys.readouterr().out
    (tmp_path / "graph.yaml").write_text(SUITE)
    board = lrbench.run("graph.yaml", out="out")
    assert not board.failures
    rows = board.results
    assert {"vr", "robust_accuracy", "accuracy"} <= set(rows["metric"])
    assert board.suite["models"]["graph"]["train"] is False
    assert set(rows[rows["metric"] == "training_loss"]["model"]) == {"trained-on"}
    assert main(["evaluate", "graph", "--suite", "graph.yaml", "--out", "memory:graph"]) == 0


def test_another_content_makes_its_steps_again(tmp_path):
    (tmp_path / "graph.yaml").write_text(SUITE)
    write()
    first = {step.id: step.key for step in Session.open("graph.yaml").plan}
    assert {step.id: step.key for step in Session.open("graph.yaml").plan} == first
    made = graph(transB=1)
    made.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(WEIGHTS["b"] + 1, "b"))
    onnx.save(made, "net.onnx")
    assert not first.items() & {step.id: step.key for step in Session.open("graph.yaml").plan}.items()


def test_weights_in_a_file_beside_it_count_too(tmp_path):
    (tmp_path / "graph.yaml").write_text(SUITE)
    onnx.save(graph(transB=1), "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    first = {step.id: step.key for step in Session.open("graph.yaml").plan}
    content = bytearray((tmp_path / "net.data").read_bytes())
    content[100] ^= 1
    (tmp_path / "net.data").write_bytes(content)
    assert not first.items() & {step.id: step.key for step in Session.open("graph.yaml").plan}.items()


def test_what_cannot_be_read_is_a_line(tmp_path, capsys):
    (tmp_path / "text.onnx").write_text("not a graph")
    onnx.save(graph("Einsum2"), "unknown.onnx")
    for name, words in (
        ("none.onnx", "no such file: none.onnx"),
        ("text.onnx", "text.onnx cannot be read as an ONNX network"),
        ("unknown.onnx", "unknown.onnx cannot be read as an ONNX network"),
    ):
        (tmp_path / "graph.yaml").write_text(SUITE.replace("net.onnx", name))
        for arguments in (["register", "graph", "--factory", name], ["run", "graph.yaml", "--out", "memory:bad"]):
            assert main(arguments) == 2
            assert words in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"no such file: net\.onnx"):
        MODELS["net.onnx"]
