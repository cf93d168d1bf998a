"""Every regularizer in a training: what it promises after each step, resumed ones, and the network that is left."""

import copy

import pytest
import torch
from support.fitted import fitted
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from lrbench.catalogue import REGULARIZERS
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.regularizers import Regularizer
from lrbench.regularizers.activations import Keep
from lrbench.regularizers.registry import made
from lrbench.suite import Training
from lrbench.training import graphed, loop, seeded

CONFIG = {"epochs": 2, "batch_size": 40, "learning_rate": 0.05, "augment": {"crop": 1}, "warmup_accuracy": 0}
ASKED = {
    "srn": {"target": 0.3},
    "spectral_norm": {},
    "nuclear_norm": {"layers": ["layer3", "avgpool"]},
    "jacobian": {"projections": 2},
    "low_rank_weights": {"rank": 0.3},
    "condlr": {"rank": 0.5, "condition": 3.0},
    "mean_sparse": {},
}
LINEAR = (nn.Conv2d, nn.Linear)


def build(digits, lr_layers=()):
    with seeded(0):
        model = Classifier(resnet18(10, 1, width=4), *digits.statistics)
    return attach_lr_layers(model, dict(lr_layers), projection="subspace") if lr_layers else model


def fit(digits, asked, resume=None, lr_layers=(), count=160, **options):
    model, history, snapshots = fitted(
        build(digits, lr_layers), digits, digits.train.balanced(count), resume=resume, regularizers=made(asked),
        **CONFIG | options,
    )  # fmt: skip
    return model, history, snapshots


def matrices(model):
    return [each.weight.detach().flatten(1) for each in model.modules() if isinstance(each, LINEAR)]


def after_each_step(digits, asked, monkeypatch, check, **options):
    """Train, and look at the network after each of its steps."""
    seen = []
    step = loop._Run.step

    def looked_at(run, *given):
        step(run, *given)
        seen.append(check(run.model))

    monkeypatch.setattr(loop._Run, "step", looked_at)
    model, _, _ = fit(digits, asked, **options)
    assert len(seen) == 8
    check(model)


def test_there_is_a_case_for_every_one_of_them():
    assert list(ASKED) == sorted(ASKED, key=list(ASKED).index)
    assert {entry.name for entry in REGULARIZERS} == set(ASKED)


@pytest.mark.parametrize("averaging", [None, {"kind": "ema", "decay": 0.5}])
def test_srn_holds_after_every_step(digits, monkeypatch, averaging):
    def check(model):
        for W in matrices(model):
            sizes = torch.linalg.svdvals(W.double())
            assert sizes.square().sum() / sizes[0] ** 2 <= max(1.0, 0.3 * min(W.shape)) * (1 + 1e-4)
            assert 1 - 1e-4 < sizes[0] < 1.5

    after_each_step(digits, {"srn": ASKED["srn"]}, monkeypatch, check, averaging=averaging)


@pytest.mark.parametrize("averaging", [None, {"kind": "swa", "start": 0.2}])
def test_condlr_holds_after_every_step(digits, monkeypatch, averaging):
    def check(model):
        for W in matrices(model):
            rank = -(-min(W.shape) // 2)
            sizes = torch.linalg.svdvals(W.double())
            assert sizes[0] <= 3.0 * sizes[rank - 1] * (1 + 1e-4)
            assert (sizes[rank:] <= 1e-5 * sizes[0]).all()

    after_each_step(digits, {"condlr": ASKED["condlr"]}, monkeypatch, check, averaging=averaging)


def test_factorised_weights_keep_their_rank(digits, monkeypatch):
    def check(model):
        for W in matrices(model):
            rank = -(-3 * min(W.shape) // 10)
            sizes = torch.linalg.svdvals(W.double())
            assert (sizes[rank:] <= 1e-5 * sizes[0]).all()

    after_each_step(digits, {"low_rank_weights": ASKED["low_rank_weights"]}, monkeypatch, check)


@pytest.mark.turns("options")
@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("options", [{}, {"precision": "bfloat16", "averaging": {}}], ids=str)
def test_a_resumed_training_ends_with_the_same_plain_network(digits, name, options):
    straight, history, snapshots = fit(digits, {name: ASKED[name]}, **options)
    resumed, again, _ = fit(digits, {name: ASKED[name]}, resume=snapshots[0], **options)
    assert again == history
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), resumed.parameters(), strict=True))
    assert set(history[-1].penalties) == {name}
    assert (history[-1].penalties[name] > 0) == (name in {"nuclear_norm", "jacobian"})
    assert not any(is_parametrized(each) for each in straight.modules())
    assert not any(isinstance(hook, Keep) for each in straight.modules() for hook in each._forward_hooks.values())
    x = torch.rand(4, 1, 8, 8)
    twin = copy.deepcopy(straight).double().eval()
    torch.testing.assert_close(twin(x.double()).float(), straight.eval()(x), atol=1e-3, rtol=1e-3)
    if name != "mean_sparse":
        plain = build(digits)
        plain.load_state_dict(straight.state_dict())


@pytest.mark.parametrize("name", ["nuclear_norm", "jacobian"])
def test_the_more_a_penalty_weighs_the_less_is_left_of_it(digits, name):
    def left(weight):
        _, history, _ = fit(digits, {name: ASKED[name] | {"weight": weight}})
        return history[-1].penalties[name] / weight

    assert left(1.0) < 0.85 * left(1e-6)


def test_lr_layers_and_others_act_side_by_side(digits):
    layers = {"avgpool": 4}
    model, history, snapshots = fit(digits, {"srn": {}, "jacobian": {}}, lr_layers=layers)
    assert history[-1].lr_layers_on
    assert history[-1].layers["avgpool"].reconstruction > 0
    assert set(history[-1].penalties) == {"srn", "jacobian"}
    again, same, _ = fit(digits, {"srn": {}, "jacobian": {}}, lr_layers=layers, resume=snapshots[0])
    assert same == history
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", ASKED)
def test_only_what_is_the_same_kernels_in_every_step_is_recorded(digits, name):
    (regularizer,) = made({name: ASKED[name]}).values()
    model = build(digits)
    regularizer.attach(model)
    alike = graphed.alike(model, torch.device("cuda"))
    assert regularizer.recordable <= alike
    assert regularizer.recordable == (name in {"srn", "jacobian"})


def test_a_regularizer_of_one_s_own_is_called_in_order(digits):
    calls = []

    class Own(Regularizer):
        def attach(self, model):
            calls.append("attach")
            assert next(model.parameters()).requires_grad

        def penalty(self, seen):
            calls.append("penalty")
            assert seen.logits.shape == (len(seen.images), 10)
            assert seen.ramp == 1.0
            return seen.logits.square().mean()

        def after_step(self, _model):
            calls.append("after_step")

        def after_epoch(self, accuracy):
            calls.append("after_epoch")
            assert 0 <= accuracy <= 1

        def finish(self, _model):
            calls.append("finish")

    model, history, _ = fitted(
        build(digits), digits, digits.train.balanced(80), regularizers={"own": Own(Own.Options())}, **CONFIG
    )
    epoch = ["penalty", "after_step"] * 2 + ["after_epoch"]
    assert calls == ["attach", *epoch, *epoch, "finish"]
    assert history[0].penalties["own"] > 0
    assert isinstance(model, Classifier)
    assert Training(**CONFIG).content == Training(**CONFIG, averaging=None).content
