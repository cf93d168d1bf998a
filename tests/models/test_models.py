import json

import pytest
import torch
from torch import nn

from lrbench.errors import LrbenchError, UsageError
from lrbench.lowrank import attach_lr_layers
from lrbench.models import Classifier, layer_names, load_checkpoint, save_checkpoint
from lrbench.models.resnet import resnet18, resnet50
from lrbench.registry import Registry


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def sizes(net, image):
    found = {}
    for name in ("layer3", "avgpool"):
        net.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: found.update({name: out[0].numel()})
        )
    net.eval()(image)
    return found


def test_resnet18_has_the_paper_s_sizes():
    net = resnet18(num_classes=10, in_channels=3)
    assert parameters(net) == 11_173_962
    assert sizes(net, torch.zeros(1, 3, 32, 32)) == {"layer3": 16_384, "avgpool": 512}


def test_resnet50_has_the_paper_s_sizes():
    net = resnet50(num_classes=100, in_channels=3)
    assert sizes(net, torch.zeros(1, 3, 32, 32))["avgpool"] == 2048


@pytest.mark.parametrize("build", [resnet18, resnet50])
def test_width_and_channels_scale(build):
    net = build(num_classes=7, in_channels=1, width=8)
    assert net(torch.rand(2, 1, 16, 16)).shape == (2, 7)


def test_a_classifier_normalises_inside_and_finds_the_network_s_layers():
    torch.manual_seed(0)
    net = resnet18(num_classes=10, in_channels=3, width=8).eval()
    model = Classifier(net, (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)).eval()
    x = torch.rand(2, 3, 16, 16)
    mean = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    std = torch.tensor([0.2, 0.3, 0.1]).view(3, 1, 1)
    assert torch.allclose(model(x), net((x - mean) / std), atol=1e-6)
    assert model.get_submodule("layer3") is net.layer3
    assert model.get_submodule("net.layer3.0") is net.layer3[0]
    with pytest.raises(AttributeError, match="layer9"):
        model.get_submodule("layer9")
    assert "layer3.0.conv1" in layer_names(net)


def saved(tmp_path, model):
    for name, content in save_checkpoint(model, {"arch": "resnet18"}).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def small(seed, width=8):
    torch.manual_seed(seed)
    model = Classifier(resnet18(10, 1, width), (0.5,), (0.2,))
    return attach_lr_layers(model, {"avgpool": 4})


def test_a_checkpoint_gives_back_the_same_model(tmp_path):
    model = small(0)
    model.train()(torch.rand(8, 1, 8, 8))
    model.lr_layers.penalty()
    model.lr_layers.update()
    saved(tmp_path, model)
    twin = load_checkpoint(small(1), tmp_path)
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(model.eval()(x), twin.eval()(x))
    assert torch.equal(model.lr_layers["avgpool"].weight, twin.lr_layers["avgpool"].weight)
    assert json.loads((tmp_path / "model.json").read_text()) == {"arch": "resnet18"}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_weights_that_are_tied_are_kept_under_both_names(layout, tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.Conv2d(3, 3, 3), torch.nn.Flatten())
    net[1].weight = net[0].weight
    net = net.to(memory_format=layout)
    for name, content in save_checkpoint(net, {}).items():
        (tmp_path / name).write_bytes(content)
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.Conv2d(3, 3, 3), torch.nn.Flatten())
    load_checkpoint(other, tmp_path)
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(other(x), net(x))


def test_a_checkpoint_that_is_damaged_or_of_another_program_is_named(tmp_path):
    saved(tmp_path, small(0))
    with pytest.raises(LrbenchError, match="does not fit the model"):
        load_checkpoint(small(0, width=4), tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(LrbenchError, match="cannot read the checkpoint"):
        load_checkpoint(small(0), tmp_path)
    with pytest.raises(LrbenchError, match="cannot read the checkpoint"):
        load_checkpoint(small(0), tmp_path / "nowhere")


def test_registry_names_the_nearest_and_refuses_a_name_twice():
    registry = Registry("model", {"resnet18": ("lrbench.models.resnet:resnet18", "a line")})

    @registry.register("my-net")
    def my_net(num_classes, in_channels):
        """Mine."""
        return nn.Linear(in_channels, num_classes)

    assert registry["resnet18"].load() is resnet18
    assert registry["my-net"].load() is my_net
    assert [entry.summary for entry in registry] == ["a line", "Mine."]
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        registry["resnet81"]
    with pytest.raises(UsageError, match="taken"):
        registry.register("resnet18")(my_net)
