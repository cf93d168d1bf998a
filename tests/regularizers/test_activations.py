"""What a penalty on activations sees: all that a layer gives in a pass, as the layer gave it."""

import pytest
import torch
from support.nets import conv_net, images
from torch import nn

from lrbench.data import Split
from lrbench.errors import UsageError
from lrbench.regularizers import Seen
from lrbench.regularizers.activations import Activations, keeps
from lrbench.regularizers.nuclear_norm import NuclearNorm
from lrbench.regularizers.registry import made
from lrbench.suite import Training
from lrbench.training import train


class Changed(nn.Module):
    """A batch norm whose output is changed in place."""

    def __init__(self, change):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.change, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), change, nn.Linear(144, 4)

    def forward(self, x):
        return self.fc(self.change(self.norm(self.conv(x))).flatten(1))


class Twice(nn.Module):
    """A layer that is called twice."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.act, self.fc, self.never = nn.Linear(192, 192), nn.Tanh(), nn.Linear(192, 4), nn.Tanh()

    def forward(self, x):
        return self.fc(self.act(self.inner(self.act(x.flatten(1)))))


def penalty(net, layer, x):
    regularizer = NuclearNorm(NuclearNorm.Options(layers=[layer], weight=1.0))
    regularizer.attach(net.train())
    return regularizer.penalty(Seen(x, net(x), None, None))


@pytest.mark.parametrize(
    "change", [nn.ReLU(inplace=True), lambda h: h.add_(1.0), lambda h: h.mul_(0.0)], ids=["relu", "add", "mul"]
)
def test_what_follows_in_place_changes_neither_the_penalty_nor_its_gradient(change):
    x, _ = images(8)
    found = []
    for each in (change, lambda h: change(h.clone())):
        net = Changed(each)
        value = penalty(net, "norm", x)
        value.backward()
        found.append((value, *(p.grad for p in (net.conv.weight, net.norm.weight, net.norm.bias))))
    assert found[0][0] > 0
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)
        assert ours.abs().sum() > 0


def test_every_call_of_a_layer_counts():
    x, _ = images(8)
    net = Twice()
    first = torch.tanh(x.flatten(1))
    second = torch.tanh(net.inner(first))
    expected = sum(torch.linalg.svdvals(each).sum() for each in (first, second)) / 8
    for _ in range(2):
        torch.testing.assert_close(penalty(net, "act", x), expected)


def test_an_earlier_pass_is_none_of_this_one_s():
    net = conv_net().train()
    activations = Activations(net, ["2"])
    net(images(5)[0])
    net(images(8)[0])
    net.eval()(images(3)[0])
    assert [each.shape for each in activations.taken()["2"]] == [(8, 216)]
    assert activations.taken() == {}
    assert all(keeps(hook) for each in net.modules() for hook in each._forward_pre_hooks.values())
    activations.remove()
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in net.modules())


def test_a_layer_that_a_step_does_not_reach_is_told_in_a_line():
    x, y = images(4)
    split = Split((255 * x).to(torch.uint8), y)
    for layers in (["never"], ["act", "never"]):
        asked = made({"nuclear_norm": {"layers": layers}})
        with pytest.raises(UsageError, match="nuclear_norm: never gave nothing in a step"):
            train(Twice(), split, Training(epochs=1, batch_size=4), seed=0, regularizers=asked)
