"""Training on a CUDA device."""

import numpy as np
import pytest
import torch
from support.fitted import fitted
from support.waiting import waits

from lrbench.data import Split
from lrbench.data.streamed import Streamed
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.regularizers.registry import made
from lrbench.suite import Training
from lrbench.training import graphed, seeded
from lrbench.training.loop import _Run

pytestmark = pytest.mark.cuda

CONFIG = {"epochs": 5, "batch_size": 64, "learning_rate": 0.05, "augment": {"crop": 1}, "warmup_accuracy": 0.7}
OPTIONS = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
    "adversarial": {"adversarial": {"eps": 8 / 255, "steps": 2}},
}


def build(digits, gpu, projection="subspace"):
    with seeded(0):
        model = Classifier(resnet18(10, 1, width=8), *digits.statistics)
    if projection is not None:
        attach_lr_layers(model, {"layer3": 16, "avgpool": 8}, projection=projection)
    return model.to(gpu, memory_format=torch.channels_last)


def fit(digits, gpu, split=None, resume=None, projection="subspace", **options):
    split = (split or digits.train).to(gpu)
    return fitted(build(digits, gpu, projection), digits, split, resume=resume, **CONFIG | options)


@pytest.mark.parametrize(
    ("options", "projection"),
    [
        *[(options, projection) for options in OPTIONS.values() for projection in (None, "subspace", "exact")],
        ({"compile": True, "deterministic": False, "precision": "bfloat16"}, "nystrom"),
    ],
    ids=str,
)
def test_learns_under_every_option(digits, gpu, options, projection):
    _, history, _ = fit(digits, gpu, projection=projection, **options)
    assert history[-1].accuracy > 0.4
    if projection is not None and history[-1].lr_layers_on:
        log = history[-1].layers["avgpool"]
        assert log.rank <= 8
        assert log.residual < 1


@pytest.mark.parametrize("options", [{}, OPTIONS["bfloat16"], OPTIONS["adversarial"]])
def test_the_same_seed_gives_the_same_weights_and_a_resumed_training_too(digits, gpu, options):
    straight, history, snapshots = fit(digits, gpu, **options)
    again, same, _ = fit(digits, gpu, **options)
    resumed, gone_on, _ = fit(digits, gpu, resume=snapshots[1], **options)
    assert same == history
    assert gone_on == history
    for other in (again, resumed):
        assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("options", [option | {"epochs": 3} for option in OPTIONS.values()], ids=OPTIONS)
@pytest.mark.parametrize("projection", [None, "subspace"])
def test_repeating_a_recorded_step_is_the_same_training_as_making_each(digits, gpu, options, projection, monkeypatch):
    recorded = []
    monkeypatch.setattr(graphed._Graph, "__call__", counted(graphed._Graph.__call__, recorded))
    one, history, _ = fit(digits, gpu, projection=projection, **options)
    assert len(recorded) > 40
    monkeypatch.setattr(graphed, "WARM", 10**6)
    other, same, _ = fit(digits, gpu, projection=projection, **options)
    assert same == history
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("projection", [None, "subspace"])
def test_a_recorded_step_with_regularizers_trades_and_averages_is_the_same(digits, gpu, projection, monkeypatch):
    options = {"epochs": 3, "adversarial": {"eps": 8 / 255, "steps": 1, "trades": 2}, "averaging": {"decay": 0.9}}
    recorded = []
    monkeypatch.setattr(graphed._Graph, "__call__", counted(graphed._Graph.__call__, recorded))
    asked = {"srn": {}, "jacobian": {}}
    one, history, _ = fit(digits, gpu, projection=projection, regularizers=made(asked), **options)
    assert len(recorded) > 40
    monkeypatch.setattr(graphed, "WARM", 10**6)
    other, same, _ = fit(digits, gpu, projection=projection, regularizers=made(asked), **options)
    assert same == history
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", ["spectral_norm", "nuclear_norm", "low_rank_weights", "condlr"])
def test_what_cannot_be_recorded_trains_and_resumes(digits, gpu, name):
    asked = {name: {"layers": ["avgpool"]} if name == "nuclear_norm" else {}}
    straight, history, snapshots = fit(digits, gpu, projection=None, regularizers=made(asked), epochs=2)
    resumed, same, _ = fit(digits, gpu, projection=None, regularizers=made(asked), epochs=2, resume=snapshots[0])
    assert same == history
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))


def counted(function, calls):
    def wrapped(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return wrapped


def test_images_that_stay_on_disk_train_the_same_network(digits, gpu):
    numbers = torch.arange(len(digits.train))
    images = digits.train.images
    streamed = Streamed(lambda chosen: images[chosen], "digits", numbers, tuple(images.shape[1:]))
    one, history, _ = fit(digits, gpu)
    other, same, _ = fit(digits, gpu, split=Split(streamed, digits.train.labels))
    assert same == history
    assert torch.equal(one.net.fc.weight, other.net.fc.weight)


def test_normal_training_follows_the_cpu_s(digits, gpu):
    _, history, _ = fit(digits, gpu, projection=None, augment={}, epochs=2)
    _, here, _ = fit(digits, torch.device("cpu"), projection=None, augment={}, epochs=2)
    # Another order of the images: the generator is the device's.
    assert np.allclose([log.accuracy for log in history], [log.accuracy for log in here], atol=0.15)


@pytest.mark.parametrize(
    "options",
    [{}, {"precision": "bfloat16"}, {"adversarial": {"eps": 8 / 255, "steps": 2}}, {"gradient_clip": None}],
    ids=str,
)
def test_the_host_never_waits_within_an_epoch(digits, gpu, options):
    model = build(digits, gpu).train()
    config = Training(**CONFIG | {"warmup_accuracy": 0, "deterministic": False} | options)
    run = _Run(model, digits.train.to(gpu), config, 0, 1.0, digits.statistics)
    chosen = torch.arange(64, device=gpu)

    def steps(count):
        for _ in range(count):
            run.step(run.split.images[chosen], run.split.labels[chosen])

    steps(3)  # the first ones allocate; `subspace` reads its residual at the first and at every 16th
    with waits() as found:
        steps(12)
    assert not found
