"""A training that is stopped and resumed ends as if it had never stopped."""

import pytest
import torch
from support.fitted import fitted
from torch import nn

from lrbench.data import Augmentation
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

CONFIG = {"epochs": 4, "batch_size": 32, "learning_rate": 0.05, "augment": {"crop": 1, "flip": True, "noise": 0.1}}


class WithDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.dropout = resnet18(10, 1, width=4), nn.Dropout(0.2)

    def forward(self, x):
        return self.net(self.dropout(x))


def build(digits):
    with seeded(0):
        model = Classifier(WithDropout(), *digits.statistics)
    return attach_lr_layers(model, {"net.layer3": 8, "net.avgpool": 4}, projection="nystrom")


def fit(digits, seed=0, resume=None, **options):
    given = {**CONFIG, "warmup_accuracy": 0.1, **options}
    return fitted(build(digits), digits, digits.train.balanced(160), seed, resume, **given)


OPTIONS = [
    {},
    {"schedule": "one-cycle", "precision": "bfloat16"},
    {"schedule": "constant", "adversarial": {"eps": 0.1, "steps": 2}},
]


@pytest.mark.turns("after")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("after", [1, 3])
def test_killed_within_an_epoch_and_resumed_equals_straight_through(digits, monkeypatch, options, after):
    straight, history, _ = fit(digits, **options)
    kept = []

    class Killed(BaseException):
        pass

    calls = 0
    augment = Augmentation.__call__

    def dying(self, *given):
        nonlocal calls
        calls += 1
        if calls == 5 * after + 3:  # the third of an epoch's five batches
            raise Killed
        return augment(self, *given)

    config = Training(**{**CONFIG, "warmup_accuracy": 0.1, **options})
    model, split = build(digits), digits.train.balanced(160)

    def keep(_log, snapshot):
        kept.append(snapshot())

    with monkeypatch.context() as patched, seeded(0):
        patched.setattr(Augmentation, "__call__", dying)
        with pytest.raises(Killed):
            train(model, split, config, seed=0, statistics=digits.statistics, on_epoch=keep)
    assert len(kept) == after
    torch.rand(11)  # another process has drawn other numbers
    resumed, again, _ = fit(digits, seed=7, resume=kept[-1], **options)
    assert again == history
    assert any(log.lr_layers_on for log in history)
    for name, tensor in straight.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_snapshot_of_the_last_epoch_has_nothing_left_to_do(digits):
    straight, history, snapshots = fit(digits, epochs=2)
    resumed, again, more = fit(digits, epochs=2, resume=snapshots[-1])
    assert again == history
    assert more == []
    assert torch.equal(straight.net.net.fc.weight, resumed.net.net.fc.weight)
