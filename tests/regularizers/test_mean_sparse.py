"""MeanSparse behind any layers of a network, and behind what stands around it."""

import copy

import pytest
import torch
from support.nets import conv_net, images
from torch import nn

from lrbench.data import Split
from lrbench.errors import UsageError
from lrbench.models import Classifier, load_checkpoint, save_checkpoint
from lrbench.regularizers.mean_sparse import MeanSparse, Sparse


def fitted(net, layers, threshold=100.0):
    regularizer = MeanSparse(MeanSparse.Options(layers=layers, threshold=threshold))
    regularizer.attach(net)
    x, y = images(20)
    regularizer.fit(net, Split((255 * x).round().to(torch.uint8), y))
    return net


def classifier():
    return Classifier(conv_net().eval(), [0.0] * 3, [1.0] * 3).eval()


CASES = [["1"], ["0"], ["3"], ["3.1"], ["3", "3.1"], ["3.1", "3"], ["net.3", "3.1"], None]


@pytest.mark.parametrize("layers", CASES, ids=str)
def test_each_layer_is_made_sparse_where_the_network_calls_it(layers, tmp_path):
    model, x = classifier(), images(6)[0]
    before = model(x)
    fitted(model, layers)
    found = [each for each in model.modules() if isinstance(each, Sparse)]
    assert len(found) == len(layers or ["1"])
    assert all(len(each.mean) and each.mean.isfinite().all() for each in found)
    assert not torch.allclose(model(x), before, atol=1e-3)
    # All is set to the mean, so that all images are alike.
    torch.testing.assert_close(model(x), model(x)[:1].expand(6, -1))
    names = list(model.state_dict())
    assert all(name.startswith("net.") or name in {"mean", "std"} for name in names)
    for name, content in save_checkpoint(model, {}).items():
        (tmp_path / name).write_bytes(content)
    again = classifier()
    MeanSparse(MeanSparse.Options(layers=layers, threshold=100.0)).attach(again)
    assert torch.equal(load_checkpoint(again, tmp_path)(x), model(x))


def test_nested_layers_are_each_made_sparse_on_a_bare_network():
    net, other = conv_net().eval(), conv_net().eval()
    fitted(net, ["3", "3.1"])
    fitted(other, ["3.1", "3"])
    assert [type(each) for each in net[3]] == [nn.Sequential, Sparse]
    assert [type(each) for each in net[3][0][1]] == [nn.Linear, Sparse]
    assert net.state_dict().keys() == other.state_dict().keys()


def test_a_layer_under_two_names_is_made_sparse_under_both():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.BatchNorm2d(3)
            self.second = self.first

        def forward(self, x):
            return self.second(self.first(x) + 1).flatten(1)

    net = Shared().eval()
    fitted(net, None)
    assert net.first is net.second
    assert isinstance(net.second[1], Sparse)


def test_what_gives_nothing_is_told_and_batch_norms_for_training_alone_are_left():
    class Training(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.other = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x):
            return (self.other(x) if self.training else self.norm(x)).flatten(1)

    with pytest.raises(UsageError, match="mean_sparse: other gave nothing for the training images"):
        fitted(Training(), ["norm", "other"])
    net = fitted(Training(), None, threshold=0.5)
    again = copy.deepcopy(net)
    assert len(again.norm[1].mean) == 3
    assert len(again.other[1].mean) == 0
    assert again.train()(images(2)[0]).isfinite().all()


def test_the_whole_network_is_no_layer_of_it():
    norm = nn.BatchNorm2d(3)
    with pytest.raises(UsageError, match="is the whole network"):
        MeanSparse(MeanSparse.Options()).attach(norm)
