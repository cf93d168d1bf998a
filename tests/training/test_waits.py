"""How often a training step makes the host wait for a GPU: never, but for what an LR-Layer reads each 16th time."""

from pathlib import Path

import pytest
import torch
from support import asking

import lrbench
from lrbench.lowrank import attach_lr_layers, devices
from lrbench.lowrank.watch import CHECK
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.regularizers.registry import made as regularizers_of
from lrbench.suite import Training
from lrbench.training import seeded
from lrbench.training.loop import _Run

PACKAGE = Path(lrbench.__file__).resolve().parent
FOLDERS = [asking.ATTACKS, *(PACKAGE / room for room in ("training", "regularizers", "lowrank", "data", "models"))]
LATE = {"watch.py settle: _local_scalar_dense": 2}
"""On a GPU, both LR-Layers read what arrived long ago."""

CONFIG = {
    "epochs": 5,
    "batch_size": 8,
    "learning_rate": 0.05,
    "augment": {"crop": 1, "flip": True, "noise": 0.1},
    "deterministic": False,
}


@pytest.fixture
def run_of(digits, monkeypatch):
    """Makes the training of a narrow network with two LR-Layers, which takes the way that it takes on a GPU."""
    monkeypatch.setattr(devices, "on_cpu", lambda _values: False)

    def made(projection="subspace", regularizers=None, **options):
        with seeded(0):
            model = Classifier(resnet18(10, 1, width=4), *digits.statistics).train()
        attach_lr_layers(model, {"layer3": 8, "avgpool": 4}, projection=projection)
        config = Training(**CONFIG | {"warmup_accuracy": 0} | options)
        return _Run(model, digits.train, config, 0, 1.0, digits.statistics, regularizers_of(regularizers or {}))

    return made


def steps(run, count):
    for start in range(count):
        chosen = torch.arange(8) + 8 * start
        run.step(run.split.images[chosen], run.split.labels[chosen])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"precision": "bfloat16"},
        {"adversarial": {"eps": 8 / 255, "steps": 2}},
        {"adversarial": {"eps": 8 / 255, "steps": 2}, "precision": "bfloat16"},
        {"gradient_clip": None},
        {"label_smoothing": 0.1},
        {"schedule": "one-cycle"},
        {"regularizers": {"srn": {}, "jacobian": {}}},
        {"averaging": {}},
        {"adversarial": {"eps": 8 / 255, "steps": 2, "trades": 6, "space": "normalized"}},
    ],
    ids=str,
)
def test_a_step_asks_for_nothing(run_of, options):
    run = run_of(**options)
    steps(run, 1)  # LR-Layers start from a decomposition
    with asking.asked(*FOLDERS) as found:
        steps(run, 3)
    assert not found


def test_sixteen_steps_ask_once_a_layer(run_of):
    run = run_of()
    steps(run, 1)
    with asking.asked(*FOLDERS) as found:
        steps(run, CHECK)
    assert found == LATE


def test_a_longer_epoch_asks_no_more(run_of):
    found = []
    for batches in (2, 4):
        run = run_of()
        run.batches = batches
        with asking.asked(*FOLDERS) as counted:
            run.epoch(1, lambda: None)
        found.append(counted)
    assert found[0] == found[1]
    assert sum(found[0].values())
