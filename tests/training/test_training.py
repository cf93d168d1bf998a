from functools import partial

import pytest
import torch

from lrbench.attacks import IterFSGM
from lrbench.data import Split, to_unit
from lrbench.errors import TrainingDivergedError
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import LayerLog, seeded, train

FAST = {"epochs": 3, "batch_size": 64, "learning_rate": 0.05}


def build(digits, seed=0, **lr_layers):
    with seeded(seed):
        model = Classifier(resnet18(10, 1, width=4), *digits.statistics)
    return attach_lr_layers(model, lr_layers) if lr_layers else model


def fit(digits, seed=0, model=None, count=512, **options):
    model = model or build(digits, seed)
    with seeded(seed):
        history = train(model, digits.train.balanced(count), Training(**{**FAST, **options}), seed=seed)
    return model, history


def weights(model):
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}


def test_training_learns(digits):
    model, history = fit(digits, epochs=6)
    assert [log.epoch for log in history] == list(range(1, 7))
    assert history[-1].loss < 0.5 * history[0].loss
    assert history[-1].accuracy > 0.8
    assert history[-1].learning_rate < history[0].learning_rate
    assert model.training


@pytest.mark.parametrize("lr_layers", [pytest.param({}, marks=pytest.mark.slow), {"layer3": 8, "avgpool": 4}])
def test_the_same_seed_gives_the_same_weights_and_another_one_others(digits, lr_layers):
    options = {"warmup_accuracy": 0.0, "augment": {"crop": 1, "flip": True}}
    first, _ = fit(digits, model=build(digits, **lr_layers), **options)
    torch.rand(7)  # what else uses the global generator does not matter
    second, _ = fit(digits, model=build(digits, **lr_layers), **options)
    other, _ = fit(digits, seed=1, model=build(digits, **lr_layers), **options)
    assert all(torch.equal(tensor, weights(second)[name]) for name, tensor in weights(first).items())
    assert not torch.equal(weights(first)["net.fc.weight"], weights(other)["net.fc.weight"])


def test_a_network_learns_from_noisy_images(digits):
    seen = {}
    for noise in (0.0, 0.5):
        model = build(digits)
        model.register_forward_pre_hook(lambda _module, given, noise=noise: seen.setdefault(noise, given[0].detach()))
        fit(digits, model=model, epochs=1, augment={"noise": noise})
    assert (seen[0.5] - seen[0.0]).std().item() == pytest.approx(0.5, rel=0.05)


def test_a_recipe_says_noise_where_there_is_some():
    assert Training().model_dump()["augment"] == {"crop": 0, "flip": False}
    noisy = Training(augment={"noise": 0.25})
    assert noisy.model_dump()["augment"] == {"crop": 0, "flip": False, "noise": 0.25}
    assert Training.model_validate(noisy.model_dump(mode="json")) == noisy


def test_lr_layers_wait_for_the_warmup_accuracy(digits):
    bare, _ = fit(digits)
    waiting, history = fit(digits, model=build(digits, avgpool=4), warmup_accuracy=1.0)
    assert not any(log.lr_layers_on for log in history)
    assert history[0].layers == {"avgpool": LayerLog(0.0, 0.0, 0, 0.0, 0.0, 0.0)}
    for name, tensor in weights(bare).items():
        assert torch.equal(tensor, weights(waiting)[name]), "until then training is that of the normal network"

    _, history = fit(digits, model=build(digits, avgpool=4), warmup_accuracy=0.6, epochs=8)
    accuracies = [log.accuracy for log in history]
    first_on = [log.lr_layers_on for log in history].index(True)
    assert max(accuracies[: first_on - 1], default=0) < 0.6 <= accuracies[first_on - 1]
    assert all(log.lr_layers_on for log in history[first_on:])
    log = history[-1].layers["avgpool"]
    assert log.reconstruction > 0
    assert log.rank == 4
    assert 0.1 < log.largest_eigenvalue < 1.5
    assert 0 < log.residual < 1
    assert log.projection_error == 0


def test_the_penalty_grows_to_full_weight_over_the_warmup(digits):
    model = build(digits, avgpool=4)
    data = digits.train.balanced(512)
    with seeded(0):
        soft = train(model, data, Training(**FAST, warmup_accuracy=0.0), seed=0, penalty_warmup=1000)
        model = build(digits, avgpool=4)
        hard = train(model, data, Training(**FAST, warmup_accuracy=0.0), seed=0, penalty_warmup=0)
    assert soft[-1].layers["avgpool"].reconstruction > 2 * hard[-1].layers["avgpool"].reconstruction


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle"])
def test_every_schedule_runs(digits, schedule):
    _, history = fit(digits, epochs=2, count=128, schedule=schedule)
    rates = [log.learning_rate for log in history]
    assert (rates[0] == rates[1]) == (schedule == "constant")


@pytest.mark.parametrize(
    "options",
    [{"precision": "bfloat16"}, {"label_smoothing": 0.1}, pytest.param({"compile": True}, marks=pytest.mark.slow)],
)
def test_every_option_learns(digits, options):
    _, history = fit(digits, epochs=8, model=build(digits, avgpool=4), warmup_accuracy=0.6, **options)
    assert history[-1].accuracy > 0.4
    assert history[-1].lr_layers_on


def test_label_smoothing_and_precision_change_the_loss_as_they_should(digits):
    plain, smooth, rough = (
        fit(digits, epochs=1, count=128, batch_size=128, **options)[1][0].loss
        for options in ({}, {"label_smoothing": 0.5}, {"precision": "bfloat16"})
    )
    assert smooth != plain
    assert rough != plain
    assert rough == pytest.approx(plain, rel=0.02)


@pytest.fixture(scope="module")
def normal(digits):
    return fit(digits, epochs=5, count=600)[0]


@pytest.mark.parametrize("space", ["normalized", pytest.param("pixel", marks=pytest.mark.slow)])
def test_adversarial_training_makes_robust(digits, normal, space):
    eps = 0.1 if space == "pixel" else 0.1 / digits.statistics[1][0]
    adversarial = {"eps": eps, "steps": 3, "space": space}
    hardened = build(digits)
    with seeded(0):
        config = Training(**{**FAST, "epochs": 5}, adversarial=adversarial)
        train(hardened, digits.train.balanced(600), config, seed=0, statistics=digits.statistics)
    attack = IterFSGM(0.1, step_size=0.02, steps=8)
    images, labels = to_unit(digits.test.images[:200]), digits.test.labels[:200]

    def robust(model):
        return (model.eval()(attack(model, images, labels)).argmax(dim=1) == labels).float().mean().item()

    assert robust(hardened) > robust(normal) + 0.1


def test_a_loss_that_is_not_finite_stops_the_training(digits):
    with pytest.raises(TrainingDivergedError, match=r"epoch 1; lower training\.learning_rate"):
        fit(digits, learning_rate=1e20, gradient_clip=None)


def test_fewer_examples_than_a_batch_are_one_batch(digits):
    small = Split(digits.train.images[:20], digits.train.labels[:20])
    model = build(digits)
    history = train(model, small, Training(**{**FAST, "epochs": 1}), seed=0)
    assert len(history) == 1


def test_seeded_restores_what_it_set():
    state = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(2)
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()
    with seeded(3):
        assert torch.equal(torch.rand(2), first)


@pytest.mark.slow
def test_lr_layers_act_on_a_compiled_network_that_was_compiled_without_them_before(digits, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    config = Training(epochs=1, batch_size=64, warmup_accuracy=0, compile=True)
    for layers in ({}, {"avgpool": 4}):
        model = Classifier(resnet18(10, 1, width=4), *digits.statistics)
        if layers:
            attach_lr_layers(model, layers)
        with seeded(0):
            (log,) = train(model, digits.train.balanced(320), config, seed=0)
    assert model.lr_layers["avgpool"].updates == 5
    assert log.layers["avgpool"].reconstruction > 0


@pytest.mark.parametrize("projection", ["exact", "nystrom", "subspace"])
def test_a_training_with_lr_layers_that_diverges_says_so(digits, projection):
    model = attach_lr_layers(
        Classifier(resnet18(10, 1, width=4), *digits.statistics), {"layer3": 8}, projection=projection
    )
    config = Training(epochs=2, batch_size=64, learning_rate=1e30, warmup_accuracy=0, gradient_clip=None)
    with seeded(0), pytest.raises(TrainingDivergedError, match="the training loss is not finite in epoch 1"):
        train(model, digits.train.balanced(320), config, seed=0)
