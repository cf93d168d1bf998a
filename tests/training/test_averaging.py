"""Averages of weights, and TRADES, against plain loops."""

import copy

import pytest
import torch
from support.fitted import fitted
from support.nets import conv_net, images
from torch import nn
from torch.nn import functional

from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.recipes import Adversarial, Averaging
from lrbench.suite import Training
from lrbench.training import loop, seeded
from lrbench.training.averaging import WeightAverage
from lrbench.training.trades import START, divergence, diverging

CONFIG = {"epochs": 2, "batch_size": 40, "learning_rate": 0.05}


def moved(net, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in (*net.parameters(), net[1].running_mean, net[1].running_var):
            each.add_(torch.randn(each.shape, generator=generator).abs())


KINDS = [{"decay": 0.6}, {"decay": 0.0}, {"decay": 0.9, "start": 0.9}, {"kind": "swa"}, {"kind": "swa", "start": 0.3}]


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_averages_are_those_of_a_plain_loop(config):
    net, steps = conv_net(), 12
    average = WeightAverage(net, Averaging(**config), steps)
    begin = int(steps * config.get("start", 0.75 if config.get("kind") == "swa" else 0))
    seen, expected = [], copy.deepcopy(net.state_dict())
    for step in range(steps):
        moved(net, step)
        average.after_step()
        if step < begin:
            continue
        seen.append(copy.deepcopy(net.state_dict()))
        for name, kept in expected.items():
            if name.endswith("num_batches_tracked"):
                continue
            if config.get("kind") == "swa":
                expected[name] = torch.stack([each[name] for each in seen]).mean(dim=0)
            else:
                decay = min(config["decay"], len(seen) / (9 + len(seen))) if len(seen) > 1 else 0
                expected[name] = decay * kept + (1 - decay) * seen[-1][name]
    average.apply()
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])


@pytest.mark.parametrize("config", [{"decay": 0.999}, {"decay": 0.999, "start": 0.29}, {"kind": "swa", "start": 0.29}])
def test_nothing_is_averaged_before_its_share(config):
    net, steps = conv_net(), 100
    average = WeightAverage(net, Averaging(**config), steps)
    begin = 29 if "start" in config else 0
    for step in range(begin + 1):
        with torch.no_grad():
            net[0].bias.fill_(step - begin)
        average.after_step()
    average.apply()
    assert not net[0].bias.any()


def fit(digits, resume=None, **options):
    with seeded(0):
        model = Classifier(resnet18(10, 1, width=4), *digits.statistics)
    return fitted(model, digits, digits.train.balanced(160), resume=resume, **CONFIG | options)


@pytest.mark.parametrize("averaging", [{"decay": 0.9}, {"kind": "swa", "start": 0.1}])
def test_what_is_left_is_the_average_also_of_a_resumed_training(digits, averaging, monkeypatch):
    last, finish = [], loop._Run.finish
    monkeypatch.setattr(loop._Run, "finish", lambda run: (last.append(copy.deepcopy(run.model)), finish(run)))
    straight, history, snapshots = fit(digits, averaging=averaging)
    without, same, _ = fit(digits)
    assert [log.loss for log in same] == [log.loss for log in history], "the training itself is the same"
    assert all(torch.equal(a, b) for a, b in zip(last[0].parameters(), without.parameters(), strict=True))
    assert not torch.equal(straight.net.fc.weight, last[0].net.fc.weight)
    assert not torch.equal(straight.net.bn1.running_mean, last[0].net.bn1.running_mean)
    for snapshot in snapshots:
        resumed, _, _ = fit(digits, resume=snapshot, averaging=averaging)
        assert all(
            torch.equal(a, b)
            for a, b in zip(straight.state_dict().values(), resumed.state_dict().values(), strict=True)
        )


def plain_trades(model, x, y, beta, eps, step, steps):
    """Zhang et al.'s loop: attack in evaluation mode by KL, then cross-entropy and beta times KL in training mode."""
    kl = nn.KLDivLoss(reduction="sum")
    model.eval()
    x_adv = x + START * torch.randn_like(x)
    for _ in range(steps):
        x_adv.requires_grad_()
        loss = kl(functional.log_softmax(model(x_adv), dim=1), functional.softmax(model(x), dim=1))
        (gradient,) = torch.autograd.grad(loss, [x_adv])
        x_adv = x_adv.detach() + step * torch.sign(gradient.detach())
        x_adv = torch.min(torch.max(x_adv, x - eps), x + eps)
        x_adv = torch.clamp(x_adv, 0.0, 1.0)
    model.train()
    natural = functional.cross_entropy(model(x), y)
    robust = kl(functional.log_softmax(model(x_adv), dim=1), functional.softmax(model(x), dim=1)) / len(x)
    return x_adv, natural + beta * robust


def test_trades_is_its_authors():
    x, y = images(10)
    x = x.double()
    config = Adversarial(eps=0.05, steps=4, step_size=0.02, trades=6.0)
    ours = conv_net().double().train()
    torch.manual_seed(7)
    expected, loss = plain_trades(copy.deepcopy(ours), x, y, 6.0, 0.05, 0.02, 4)
    torch.manual_seed(7)
    found = diverging(ours, x, config, torch.ones(()), None)
    torch.testing.assert_close(found, expected)
    assert ours.training
    assert all(each.grad is None and each.requires_grad for each in ours.parameters())
    logits = ours(x)
    total = functional.cross_entropy(logits, y) + 6.0 * divergence(ours(found), logits)
    torch.testing.assert_close(total, loss)


def test_trades_in_normalised_space_has_each_channel_s_radius_and_clips_nothing():
    x, _ = images(6)
    config = Adversarial(eps=0.5, steps=6, space="normalized", trades=1.0)
    found = diverging(conv_net(), x, config, torch.tensor([0.1, 0.2, 0.4]).view(3, 1, 1), None)
    most = (found - x).abs().amax(dim=(0, 2, 3))
    torch.testing.assert_close(most, torch.tensor([0.05, 0.1, 0.2]), atol=1e-6, rtol=0)
    assert found.max() > 1


@pytest.mark.parametrize(
    "options",
    [{"averaging": {}}, *(pytest.param(each, marks=pytest.mark.slow) for each in ({}, {"precision": "bfloat16"}))],
)
def test_trades_trains_and_resumes(digits, options):
    asked = {"adversarial": {"eps": 0.1, "steps": 2, "trades": 3.0}, **options}
    straight, history, snapshots = fit(digits, **asked)
    resumed, same, _ = fit(digits, resume=snapshots[0], **asked)
    assert same == history
    assert torch.equal(straight.net.fc.weight, resumed.net.fc.weight)
    _, other, _ = fit(digits, **asked | {"adversarial": {"eps": 0.1, "steps": 2}})
    assert other[-1].loss != history[-1].loss


@pytest.mark.parametrize(
    ("given", "absent"),
    [({}, {"averaging"}), ({"averaging": {}}, set()), ({"adversarial": {"eps": 0.1}}, {"averaging"})],
)
def test_what_came_later_is_in_a_training_s_key_only_where_it_is_given(given, absent):
    content = Training(**given).content
    assert set(Training.model_fields) - set(content) == absent
    if "adversarial" in given:
        assert set(content["adversarial"]) == {"eps", "steps", "step_size", "space"}
        assert Training(adversarial={"eps": 0.1, "trades": 6}).content["adversarial"]["trades"] == 6.0
