"""Training in several processes: the same as in one, but for batch norm, which sees a part of each batch."""

import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from support.plain import FACTORY
from support.together import Fails, Fit, Waits

import lrbench
from lrbench.cli import main
from lrbench.data import Augmentation
from lrbench.errors import LrbenchError, TrainingDivergedError
from lrbench.training import in_processes

pytestmark = pytest.mark.usefixtures("undrawn")

CPU = torch.device("cpu")
AUGMENT = {"augment": {"crop": 1, "flip": True}}


def alone(fit):
    received = []
    fit(CPU, received.append)
    return received[0]


def together(work, count=2):
    received = []
    in_processes(count, work, CPU, received.append, lambda: None)
    return received[0]


@pytest.mark.parametrize(
    ("lr_layers", "options"),
    [({}, AUGMENT), ({"1": 4, "2": 6}, AUGMENT), ({}, {"adversarial": {"eps": 8 / 255, "steps": 2}})],
)
def test_two_processes_train_what_one_trains(lr_layers, options):
    weights, history, _ = alone(Fit("plain", lr_layers, options))
    other, other_history, _ = together(Fit("plain", lr_layers, options))
    # Each process draws the random start of PGD training for itself.
    tolerance = 0.1 if "adversarial" in options else 2e-4
    for name, tensor in weights.items():
        if name.endswith("_extra_state"):
            assert torch.equal(other[name], tensor)
        elif "lr_layers" not in name:
            torch.testing.assert_close(other[name], tensor, atol=tolerance, rtol=tolerance)
    for ours, theirs in zip(history, other_history, strict=True):
        assert theirs.loss == pytest.approx(ours.loss, rel=max(1e-3, tolerance))
        for name, log in ours.layers.items():
            assert theirs.layers[name].reconstruction == pytest.approx(log.reconstruction, rel=1e-2, abs=1e-3)
            assert theirs.layers[name].rank == log.rank


@pytest.mark.parametrize(
    "name", ["srn", "jacobian", *(pytest.param(name, marks=pytest.mark.slow) for name in ("spectral_norm", "condlr"))]
)
def test_two_processes_regularize_as_one_does(name):
    # Of a penalty that draws directions for each process nothing else is asked than that it is descended.
    weights, history, _ = alone(Fit("plain", regularizers={name: {}}))
    other, same, _ = together(Fit("plain", regularizers={name: {}}))
    tolerance = 0.05 if name == "jacobian" else 2e-3
    for each, tensor in weights.items():
        torch.testing.assert_close(other[each], tensor, atol=tolerance, rtol=tolerance)
    assert same[-1].penalties[name] == pytest.approx(history[-1].penalties[name], rel=0.3)


def test_trades_and_averages_in_two_processes():
    adversarial = {"eps": 8 / 255, "steps": 2, "trades": 3}
    fit = Fit("normed", {}, {"adversarial": adversarial, "averaging": {"decay": 0.9}, "epochs": 2})
    _, history, snapshots = together(fit)
    _, again, _ = together(replace(fit, resume=snapshots[0]))
    assert again == history
    assert history[-1].loss < history[0].loss


@pytest.mark.parametrize("net", ["normed", "dropping"])
def test_a_resumed_training_ends_as_if_it_had_never_stopped(net):
    layers = {"layer3": 4} if net == "normed" else {"1": 4}
    options = AUGMENT | {"epochs": 2}
    weights, _, snapshots = together(Fit(net, layers, options))
    again, _, _ = together(Fit(net, layers, options, snapshots[0]))
    assert all(torch.equal(tensor, again[name]) for name, tensor in weights.items())


def test_processes_drop_different_units():
    one, two = alone(Fit("dropping")), together(Fit("dropping"))
    assert not torch.allclose(one[0]["1.weight"], two[0]["1.weight"], atol=1e-4)


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("raises", LrbenchError, "process 1 of 2: ArithmeticError: broken"),
        ("diverges", TrainingDivergedError, "the loss is not finite"),
        ("dies", LrbenchError, r"process 1 of 2 was lost \(exit code -9"),
        ("exits", LrbenchError, "process 1 of 2: SystemExit: 0"),
        # The other may be the first to say that it lost it.
        ("ends", LrbenchError, r"process 1 of 2 was lost \(exit code 0|process 0 of 2: "),
    ],
)
def test_the_failure_of_one_is_told_and_ends_all(how, kind, words):
    with pytest.raises(kind, match=words) as caught:
        together(Fails(how))
    assert how != "raises" or 'raise ArithmeticError("broken")' in "".join(caught.value.__notes__)


def test_whoever_asks_them_to_stop_does_not_wait():
    received = []

    def check_stop():
        if received:
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_processes(2, Waits(), CPU, received.append, check_stop)
    assert time.monotonic() - started < 120


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(LrbenchError, match="2 processes need 2 GPUs; this machine shows 1"):
        in_processes(2, Waits(), torch.device("cuda"), print, lambda: None)


def test_rows_of_a_batch_are_augmented_as_with_all_of_it():
    images = torch.randint(256, (12, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    augment = Augmentation(crop=2, flip=True, noise=0.1)
    rows = slice(4, 9)
    for change, given in ((augment, images), (augment.noisy, images / 255)):
        whole = change(given, torch.Generator().manual_seed(1))
        part = change(given[rows], torch.Generator().manual_seed(1), rows, len(images))
        assert torch.equal(part, whole[rows])


SUITE = """\
name: parallel
data: {name: digits, train: 150, test: 40}
models:
  net: {arch: "FACTORY:build", lr_layers: {"1": 4}}
training: {epochs: 2, batch_size: 50, warmup_accuracy: 0.0, processes: PROCESSES}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm]
diagnostics: {masking: false}
"""


@pytest.mark.slow
def test_a_suite_trains_in_two_processes_that_one_of_two_jobs_begins(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(FACTORY)
    path = tmp_path / "parallel.yaml"
    content = SUITE.replace("FACTORY", str(tmp_path / "mine.py"))
    path.write_text(content.replace("PROCESSES", "1"))
    one = lrbench.run(path, tmp_path / "one")
    path.write_text(content.replace("PROCESSES", "2"))
    two = lrbench.run(path, tmp_path / "two", jobs=2)
    assert not one.failures | two.failures
    place = "steps/train/net/seed-0/weights.safetensors"
    expected, found = (load_file(tmp_path / out / place) for out in ("one", "two"))
    for name, tensor in expected.items():
        if "lr_layers" not in name:
            torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=1e-4)
    path.write_text(content.replace("PROCESSES", "3"))
    assert main(["run", str(path), "--out", str(tmp_path / "three")]) == 2
    assert "cannot be shared evenly among 3 processes" in capsys.readouterr().err
