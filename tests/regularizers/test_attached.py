"""What regularizers cannot be put on, alone or together: each in a line, before a step is made."""

import itertools
import re

import pytest
import torch
from pydantic import ValidationError
from support.nets import conv_net, images
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from lrbench.data import Split
from lrbench.errors import UsageError
from lrbench.models import Classifier
from lrbench.regularizers import Regularizer
from lrbench.regularizers.attached import attach
from lrbench.regularizers.mean_sparse import Sparse
from lrbench.regularizers.registry import made, regularizer_of
from lrbench.suite import Training
from lrbench.training import train

WRITERS = ["condlr", "low_rank_weights", "spectral_norm", "srn"]
NAMING = [*WRITERS, "mean_sparse", "nuclear_norm"]


def trained(net, asked):
    x, y = images(4)
    split = Split((255 * x).to(torch.uint8), y)
    return train(net, split, Training(epochs=1, batch_size=4), seed=0, regularizers=made(asked))


@pytest.mark.parametrize("pair", list(itertools.permutations(WRITERS, 2)), ids="-".join)
def test_two_that_set_the_same_weights_are_refused(pair):
    net = conv_net()
    before = net[4].weight.detach().clone()
    with pytest.raises(UsageError, match=rf"^{pair[1]}: sets the weight of 4, as {pair[0]} does; give each `layers`"):
        trained(net, {pair[0]: {}, pair[1]: {"layers": ["4"]}})
    assert torch.equal(net[4].weight, before)
    trained(net, {pair[0]: {"layers": ["0"]}, pair[1]: {"layers": ["4", "3.1"]}})


def test_one_of_one_s_own_can_say_that_it_sets_weights():
    class Own(Regularizer):
        writes_weights = True

    with pytest.raises(UsageError, match="srn: sets the weight of 0, as own does"):
        attach(conv_net(), {"own": Own(Own.Options()), **made({"srn": {"layers": ["0"]}})})


@pytest.mark.parametrize("name", NAMING)
@pytest.mark.parametrize(("layers", "words"), [([], "at least 1 item"), (["0", "4", "0"], "0 is named twice")], ids=str)
def test_none_and_one_named_twice_are_no_layers(name, layers, words):
    with pytest.raises(ValidationError, match=words):
        regularizer_of(name).Options(layers=layers)


@pytest.mark.parametrize("name", NAMING)
def test_a_layer_that_is_not_there_is_told_in_a_line(name):
    with pytest.raises(UsageError, match=rf"^{name}: the network has no layer '3\.7'; did you mean '3"):
        trained(conv_net(), {name: {"layers": ["3.7"]}})


@pytest.mark.parametrize("name", NAMING)
def test_two_names_of_one_layer_are_told(name):
    net = conv_net()
    net.register_module("again", net[4])
    with pytest.raises(UsageError, match="4 and again are one layer under two names"):
        attach(net, made({name: {"layers": ["4", "again"]}}))


@pytest.mark.parametrize("name", ["condlr", "low_rank_weights"])
def test_factors_do_not_untie_weights(name):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 192), nn.Linear(192, 192), nn.Linear(192, 4))
    net[2].weight = net[1].weight
    with pytest.raises(UsageError, match=f"{name}: 1 and 2 share their weight, which factors would untie"):
        trained(net, {name: {}})
    assert net[2].weight is net[1].weight
    trained(net, {name: {"layers": ["3"]}})


@pytest.mark.parametrize("name", ["spectral_norm", "srn"])
def test_what_leaves_weights_whole_leaves_them_tied(name):
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 192), nn.Linear(192, 192), nn.Linear(192, 4))
    net[2].weight = net[1].weight
    trained(net, {name: {}})
    assert net[2].weight is net[1].weight


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("normed", [weight_norm, nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_weight_that_the_network_computes_is_nobody_else_s_to_set(name, normed):
    net = conv_net()
    normed(net[4])
    with pytest.raises(UsageError, match=f"{name}: the network itself computes the weight of 4"):
        trained(net, {name: {}})


def test_spectral_norm_does_not_divide_by_nothing():
    net = conv_net()
    nn.init.zeros_(net[4].weight)
    with pytest.raises(UsageError, match="spectral_norm: the weights of 4 are all 0"):
        trained(net, {"spectral_norm": {}})


@pytest.mark.parametrize("name", NAMING[:-2])
@pytest.mark.parametrize("first", [False, True])
def test_names_stay_those_of_the_network_whatever_stays_in_it(name, first):
    sparse, other = {"mean_sparse": {"layers": ["0"]}}, {name: {"layers": ["0"]}}
    net = Classifier(conv_net(), [0.0] * 3, [1.0] * 3)
    trained(net, {**sparse, **other} if first else {**other, **sparse})
    assert re.sub(r"\(.*", "", str(net.net[0][0])) == "Conv2d"
    assert isinstance(net.net[0][1], Sparse)
