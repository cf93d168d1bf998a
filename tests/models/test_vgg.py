import pytest
import torch
from torch import nn

from lrbench.models.vgg import vgg19
from lrbench.suite import load_suite


def outputs(net, images, *names):
    seen = {}
    for name in names:
        net.get_submodule(name).register_forward_hook(lambda _m, i, o, name=name: seen.update({name: (i[0], o)}))
    net.eval()(images)
    return seen


def test_vgg19_has_the_paper_s_form():
    net = vgg19(num_classes=10, in_channels=3)
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(nn.Conv2d) == 16
    assert kinds.count(nn.Linear) == 3
    order = [name for name, _ in net.named_children()]
    assert [order[order.index(f"fc{i}") - 1] for i in (1, 2, 3)] == ["dropout1", "dropout2", "dropout3"]
    assert all(net.get_submodule(f"dropout{i}").p == 0.5 for i in (1, 2, 3))


@pytest.mark.parametrize("suite", ["paper/figure5-vgg19", "paper/figure5-vgg19-short"])
def test_the_suites_lr_layers_sit_before_the_first_and_the_third_fully_connected_layer(suite):
    spec = load_suite(suite)[0].models["vgg19-lr"]
    assert list(spec.lr_layers) == ["flatten", "relu2"]
    net = vgg19(10, 3, **spec.options)
    seen = outputs(net, torch.rand(2, 3, 32, 32), "flatten", "relu2", "fc1", "fc3")
    assert torch.equal(seen["flatten"][1], seen["fc1"][0])
    assert torch.equal(seen["relu2"][1], seen["fc3"][0])
    if suite.endswith("vgg19"):
        assert seen["flatten"][1].shape == (2, 512)


@pytest.mark.parametrize("size", [8, 28, 32])
def test_smaller_images_do_not_vanish(size):
    net = vgg19(num_classes=4, in_channels=1, width=8, hidden=16)
    assert net(torch.rand(2, 1, size, size)).shape == (2, 4)
