"""Whole suites on a CUDA device: in this process, in several, resumed, and beside the CPU's."""

import pytest
import torch
import yaml

import lrbench

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("undrawn")]

SUITE = {
    "name": "cuda",
    "data": "digits",
    "seeds": [0],
    "models": {
        "normal": {"arch": "resnet18", "width": 8},
        "low-rank": {"extends": "normal", "lr_layers": {"layer3": 16, "avgpool": 8}},
    },
    "training": {"epochs": 4, "batch_size": 64, "learning_rate": 0.05},
    "threat_model": {"space": "normalized", "eps": ["8/255", "32/255"], "samples": 60},
    "attacks": [
        "iter-fsgm",
        "iter-ll-fsgm",
        {"name": "autoattack", "steps": 5, "targets": 2, "queries": 20},
        {"name": "adaptive-lr", "layer": "avgpool", "steps": 5, "restarts": 1},
        {"name": "pgd", "surrogate": "normal", "steps": 5},
        "gaussian-noise",
        "deepfool",
        {"name": "fmn", "steps": 10},
    ],
    "diagnostics": {
        "variance_ratio": {"layers": ["layer3", "avgpool"], "k": [1, 5]},
        "embeddings": {"layer": "avgpool", "dims": ["full", 5]},
        "clusters": {"layer": "avgpool"},
        "d_adv": {"layers": ["avgpool"]},
        "compression": {"layer": "avgpool", "dim": 5},
        "masking": {"samples": 30, "steps": 5, "queries": 20, "draws": 3, "unbounded": 4},
    },
}


def accuracies(board):
    rows = board.results
    return rows[rows.metric == "accuracy"].set_index("model").value.sort_index()


def ran(folder, **options):
    suite = folder / "suite.yaml"
    suite.write_text(yaml.safe_dump(SUITE))
    return lrbench.run(suite, out=folder / "run", **options)


@pytest.fixture
def board(tmp_path):
    return ran(tmp_path, device="cuda")


def test_every_figure_of_the_cpu_is_there(board, tmp_path_factory):
    here = ran(tmp_path_factory.mktemp("cpu"), device="cpu")
    assert not board.failures
    assert (accuracies(board) - accuracies(here)).abs().max() < 0.15
    kinds = ["metric", "model", "attack", "layer"]
    there, expected = (set(map(tuple, each.results[kinds].fillna("").to_numpy())) for each in (board, here))
    # Which members of AutoAttack are the first to find an image is chance, where few images and little effort are.
    assert {kind for kind in there ^ expected if kind[0] != "first_to_fool"} == set()


def test_two_processes_on_one_gpu_give_the_same(board, tmp_path_factory):
    other = ran(tmp_path_factory.mktemp("jobs"), device="cuda", jobs=2)
    assert not other.failures
    assert (accuracies(board) == accuracies(other)).all()


def test_a_network_is_evaluated_in_three_lines(tmp_path):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).to("cuda")
    x, y = torch.rand(30, 1, 8, 8, device="cuda"), torch.arange(30, device="cuda") % 10
    asked = {"eps": 8 / 255, "attacks": ["pgd"], "diagnostics": {"masking": False}}
    found = lrbench.evaluate(net, data=(x, y), **asked, out=tmp_path, device="cuda")
    assert len(found.results)
    assert next(net.parameters()).is_cuda
