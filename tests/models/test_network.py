"""What a factory gives, as a network: unwrapped, in its own precision, kept whole."""

import warnings

import pytest
import torch
from support import brought
from torch import nn

from lrbench.errors import UsageError
from lrbench.models import Classifier, Function, load_checkpoint, loose_state, make_network, save_checkpoint


def made(factory):
    return make_network(factory, 10, 1, {})


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, lambda net: nn.DataParallel(torch.compile(net))])
def test_the_network_inside_what_runs_it_is_taken(wrap):
    net = brought.net()
    assert made(lambda: wrap(net)) is net


def test_a_factory_is_given_what_it_names():
    given = {}
    made(lambda **all_of_it: given.update(all_of_it) or brought.net())
    assert given == {"num_classes": 10, "in_channels": 1}
    made(lambda in_channels: given.update(only=in_channels) or brought.net())
    assert given["only"] == 1
    assert isinstance(made(lambda: abs), Function)


@pytest.mark.parametrize("thing", [None, "net", nn.Linear, [brought.net()], 3])
def test_what_is_no_network_is_named(thing):
    with pytest.raises(UsageError, match=r"its factory gives (the class Linear|NoneType|str|list|int), where"):
        made(lambda: thing)


def test_a_network_whose_parameters_have_no_shape_yet_is_to_be_run_once():
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(10))
    with pytest.raises(UsageError, match="run it once before giving it back"):
        made(lambda: net)
    net(torch.rand(2, 1, 8, 8))
    assert made(lambda: net) is net


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_classifier_gives_its_network_what_it_takes_and_logits_in_the_images_dtype(dtype):
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = Classifier(brought.net(), [0.5], [0.2]).eval()(x)
    logits = Classifier(brought.net().to(dtype), [0.5], [0.2]).eval()(x)
    assert logits.dtype is torch.float32
    assert torch.allclose(logits, expected, atol=0.05)


def kept(factory, folder):
    net = factory()
    for name, content in save_checkpoint(net, {}).items():
        (folder / name).write_bytes(content)
    return net, load_checkpoint(factory(), folder)


def test_tied_weights_are_kept_and_stay_tied(tmp_path):
    net, loaded = kept(brought.Tied, tmp_path)
    assert loaded.twin.weight is loaded.net[1].weight
    assert torch.equal(loaded.twin.weight, net.twin.weight)


def test_a_quantised_network_is_kept_with_what_its_factory_makes_of_it(tmp_path):
    net, loaded = kept(brought.quantise, tmp_path)
    assert loose_state(net)
    x = torch.rand(4, 1, 8, 8)
    with warnings.catch_warnings(action="ignore"):
        assert torch.equal(net(x), loaded(x))


def test_a_checkpoint_of_another_network_is_still_refused(tmp_path):
    kept(brought.net, tmp_path)
    with pytest.raises(Exception, match="does not fit the model"):
        load_checkpoint(brought.Around(), tmp_path)
