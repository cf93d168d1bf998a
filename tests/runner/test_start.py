"""Models that start from the network of another."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from support.plain import FACTORY

from lrbench.cli import main

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: start
data: {name: digits, train: 150, test: 40}
seeds: [0, 1]
models:
  next: {arch: "mine.py:build", init_from: warm}
  lr: {extends: next, lr_layers: {"1": 4}}
  last: {extends: next, init_from: lr, training: {learning_rate: 1e-30}}
  warm: {arch: "mine.py:build", training: {epochs: 2}}
training: {epochs: 1, batch_size: 50, warmup_accuracy: 0.0}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FACTORY)
    return tmp_path


def run(folder, text=SUITE, out="out", *more):
    (folder / "start.yaml").write_text(text)
    return main(["run", "start.yaml", "--out", out, *more])


def network(folder, model, seed, out="out"):
    state = load_file(folder / out / f"steps/train/{model}/seed-{seed}/weights.safetensors")
    return {name: tensor for name, tensor in state.items() if name.startswith("net.")}


def test_a_training_begins_with_the_network_of_its_seed_and_without_its_lr_layers(folder):
    assert run(folder) == 0
    for seed in (0, 1):
        torch.testing.assert_close(network(folder, "last", seed), network(folder, "lr", seed), rtol=0, atol=1e-20)
    first, second = network(folder, "warm", 0), network(folder, "warm", 1)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_a_training_that_starts_where_another_left_off_has_less_to_learn(folder):
    assert run(folder) == 0
    assert run(folder, SUITE.replace(", init_from: warm", ""), "fresh") == 0
    started, fresh = (pd.read_csv(folder / out / "results.csv") for out in ("out", "fresh"))
    for seed in (0, 1):
        query = f"model == 'next' and seed == {seed} and metric == 'training_loss'"
        assert started.query(query).value.item() < 0.9 * fresh.query(query).value.item()


def test_a_changed_start_is_trained_again_and_what_follows_it(folder, capsys):
    run(folder)
    capsys.readouterr()
    assert run(folder, SUITE.replace("epochs: 2", "epochs: 3")) == 0
    again = capsys.readouterr().out
    assert all(f"train/{model}/seed-0" in again for model in ("warm", "next", "lr", "last"))


@pytest.mark.slow
def test_two_jobs_give_the_bytes_of_one(folder):
    assert run(folder) == 0
    assert run(folder, SUITE, "two", "--jobs", "2") == 0
    assert (folder / "out/results.csv").read_bytes() == (folder / "two/results.csv").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("init_from: warm}", "init_from: worm}", "models.next.init_from: unknown model 'worm'; did you mean 'warm'?"),
        ("training: {epochs: 2}", "init_from: lr", "start from each other in a circle"),
        ("init_from: warm}", "init_from: next}", "next -> next start from each other in a circle"),
        (
            'build", training',
            'build", arch_option: 3, training',
            "models.next.init_from: 'warm' is another architecture",
        ),
        ("init_from: warm}", "init_from: warm, weights: w.pt}", "`init_from` is where a training begins"),
        ("init_from: warm}", "init_from: 3}", "models.next.init_from"),
    ],
)
def test_what_cannot_be_started_from_is_said_in_a_line(folder, capsys, old, new, said):
    assert run(folder, SUITE.replace(old, new)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") <= 3
    assert not (folder / "out").exists()


def test_training_of_what_is_not_trained_is_told(tmp_path, capsys):
    suite = tmp_path / "told.yaml"
    suite.write_text(
        "name: told\ndata: {name: digits, train: 40, test: 10}\nattacks: []\nmodels:\n"
        "  net: {arch: resnet18, width: 4, training: {epochs: 1}}\n"
        "  sparse: {extends: net, init_from: net, train: false, regularizers: {mean_sparse: {threshold: 0.2}}}\n"
        "  again: {extends: sparse, training: {epochs: 3}}\n"
    )
    assert main(["plan", str(suite)]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "has no effect" in line]
    assert told == ["lrbench: again is not trained, so that its `training` has no effect; `train: true` trains it"]
