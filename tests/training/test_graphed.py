"""Training by a recorded step, on the CPU: in place of a CUDA graph, what would be recorded is made anew each time."""

from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import nn
from torchvision.models import densenet121

from lrbench.lowrank import attach_lr_layers, devices
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.models.vgg import vgg19
from lrbench.regularizers.registry import made
from lrbench.suite import Training
from lrbench.training import graphed, loop, seeded, train

CONFIG = {"epochs": 3, "batch_size": 32, "learning_rate": 0.05, "augment": {"crop": 1, "flip": True, "noise": 0.1}}


class Nothing:
    """A stream, where there is but one."""

    def __init__(self, *_device):
        pass

    def wait_stream(self, _other):
        pass


class Again:
    """Makes a part of a step with the same tensors as a graph would."""

    made = 0

    def __init__(self, optimizer, rate, work):
        self.optimizer, self.rate, self.work = optimizer, rate, work

    def replay(self):
        Again.made += 1
        (group,) = self.optimizer.param_groups
        before, group["lr"] = group["lr"], self.rate
        self.work()
        group["lr"] = before


class Anew(graphed._Graph):
    """Records nothing."""

    def _captured(self, work, _pool):
        return Again(self.optimizer, self.rate, work)


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(Again, "made", 0)
    monkeypatch.setattr(graphed, "_Graph", Anew)
    monkeypatch.setattr(torch.cuda, "Stream", Nothing)
    monkeypatch.setattr(torch.cuda, "current_stream", Nothing)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    # As on a GPU: an update leaves the layer's W as it is until it is taken over.
    monkeypatch.setattr(devices, "on_cpu", lambda _values: False)

    @contextmanager
    def on():
        with monkeypatch.context() as patch:
            patch.setattr(loop, "alike", lambda *_: True)
            yield

    return on


def fit(digits, layers, projection="subspace", regularizers=None, **options):
    with seeded(0):
        model = Classifier(resnet18(10, 1, width=4), *digits.statistics)
        if layers:
            attach_lr_layers(model, layers, projection=projection)
        config = Training(**CONFIG | options)
        history = train(model, digits.train.balanced(320), config, seed=0, regularizers=made(regularizers or {}))
    return model, history


@pytest.mark.turns("layers")
@pytest.mark.parametrize("layers", [{}, {"layer3": 8, "avgpool": 4}], ids=str)
@pytest.mark.parametrize(
    "options",
    [{}, {"warmup_accuracy": 0.3}, {"adversarial": {"eps": 8 / 255, "steps": 2}}, {"precision": "bfloat16"}],
    ids=str,
)
def test_is_the_same_training(digits, recorded, layers, options):
    straight, history = fit(digits, layers, **options)
    with recorded():
        repeated, same = fit(digits, layers, **options)
    assert Again.made > 10
    assert same == history
    for a, b in zip(straight.state_dict().values(), repeated.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.turns("layers")
@pytest.mark.parametrize("layers", [{}, {"avgpool": 4}], ids=str)
@pytest.mark.parametrize(
    "regularizers", [pytest.param({}, marks=pytest.mark.slow), {"srn": {}, "jacobian": {}}], ids=str
)
def test_is_the_same_training_with_regularizers_trades_and_averages(digits, recorded, layers, regularizers):
    trades = {"adversarial": {"eps": 8 / 255, "steps": 1, "trades": 2}, "averaging": {"decay": 0.9}}
    options = {"epochs": 2, "warmup_accuracy": 0, "regularizers": regularizers} | trades
    straight, history = fit(digits, layers, **options)
    with recorded():
        repeated, same = fit(digits, layers, **options)
    assert Again.made > 10
    assert same == history
    for a, b in zip(straight.state_dict().values(), repeated.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_with_a_regularizer_that_cannot_be_recorded_steps_are_made_one_by_one(digits, recorded):
    with recorded():
        _, history = fit(digits, {}, regularizers={"nuclear_norm": {"layers": ["avgpool"]}}, epochs=1)
    assert Again.made == 0
    assert history[-1].penalties["nuclear_norm"] > 0


class StoppedError(Exception):
    """By `on_batch`."""


@pytest.mark.parametrize("batches", [1, 3, 12, 19])
def test_where_a_caller_stops_it_nothing_is_under_way(digits, recorded, batches):
    def stopped():
        seen = []

        def on_batch():
            seen.append(1)
            if len(seen) > batches:
                raise StoppedError

        with seeded(0):
            model = attach_lr_layers(
                Classifier(resnet18(10, 1, width=4), *digits.statistics), {"layer3": 8, "avgpool": 4},
                projection="subspace",
            )  # fmt: skip
            options = Training(**CONFIG | {"warmup_accuracy": 0})
            with pytest.raises(StoppedError):
                train(model, digits.train.balanced(320), options, seed=0, on_batch=on_batch)
        return model.state_dict()

    # As `recorded` has it, for both: what follows is another product on a GPU.
    straight = stopped()
    with recorded():
        repeated = stopped()
    assert all(torch.equal(a, b) for a, b in zip(straight.values(), repeated.values(), strict=True))


def test_decompositions_are_made_one_by_one(digits, recorded):
    with recorded():
        _, history = fit(digits, {"avgpool": 4}, projection="exact", warmup_accuracy=0)
    assert Again.made == 0
    assert history[-1].layers["avgpool"].rank == 4


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), True),
        (attach_lr_layers(nn.Sequential(nn.Flatten(), nn.Linear(4, 4)), {"1": 2}), True),
        (nn.Sequential(Classifier(resnet18(10, 1, width=4), [0.5], [0.5])), True),
        (nn.Sequential(attach_lr_layers(Classifier(vgg19(10, 3, width=4), [0.5], [0.5]), {"net.fc1": 2})), True),
        (nn.Sequential(type("Mine", (nn.Module,), {})()), False),
    ],
)
def test_only_networks_of_known_modules_are_recorded(net, expected):
    assert graphed.alike(net, torch.device("cuda")) is expected
    assert not graphed.alike(net, torch.device("cpu"))
    net[0].register_forward_hook(lambda *_: None)
    assert not graphed.alike(net, torch.device("cuda"))


def forwarded(net):
    net[0].forward = lambda x: x
    return net


def accumulating(net):
    next(net.parameters()).register_post_accumulate_grad_hook(lambda _: None)
    return net


def replaced(net):
    net[0]._conv_forward = lambda *given: given[0]
    return net


def test_with_hooks_for_all_modules_nothing_is_recorded():
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert not graphed.alike(nn.Sequential(nn.Linear(2, 2)), torch.device("cuda"))
    handle.remove()
    assert graphed.alike(nn.Sequential(nn.Linear(2, 2)), torch.device("cuda"))


def hooked(net):
    next(net.parameters()).register_hook(lambda gradient: gradient)
    return net


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.BatchNorm2d(3, momentum=None)),
        nn.Sequential(nn.Embedding(3, 3, max_norm=1.0)),
        nn.Sequential(densenet121(memory_efficient=True)),
        nn.Sequential(nn.AdaptiveLogSoftmaxWithLoss(8, 4, [2])),
        forwarded(nn.Sequential(nn.Linear(2, 2))),
        hooked(nn.Sequential(nn.Linear(2, 2))),
        accumulating(nn.Sequential(nn.Linear(2, 2))),
        replaced(nn.Sequential(nn.Conv2d(1, 1, 1))),
        nn.DataParallel(nn.Linear(2, 2)),
        nn.Sequential(nn.SyncBatchNorm(3)),
        nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))),
    ],
)
def test_what_python_decides_in_every_pass_is_not_recorded(net):
    assert not graphed.alike(net, torch.device("cuda"))
