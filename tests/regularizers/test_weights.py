"""Weights of every kind: zeros, of rank one, huge, in half precision."""

import pytest
import torch
from support.nets import conv_net, images
from torch import nn

from lrbench.data import Split
from lrbench.regularizers.condlr import CondLR
from lrbench.regularizers.low_rank_weights import LowRankWeights, rank_of
from lrbench.regularizers.registry import made
from lrbench.regularizers.srn import StableRankNormalization, first_vector, normalize
from lrbench.suite import Training
from lrbench.training import train


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def one_entry(value):
    W = torch.zeros(10, 8)
    W[0, 0], W[0, 1] = value, -value
    return W


WEIGHTS = {
    "random": drawn(10, 8),
    "rank one": torch.outer(drawn(10), drawn(8, seed=1)),
    "rows that sum to 0": drawn(10, 8) - drawn(10, 8).mean(dim=1, keepdim=True),
    "columns that sum to 0": drawn(10, 8) - drawn(10, 8).mean(dim=0),
    "one row": one_entry(1.0),
    "huge": 1e30 * drawn(10, 8),
    "minute": 1e-35 * drawn(10, 8),
    "minute row": one_entry(1e-38),
    "one number": drawn(1, 1),
    "double": drawn(10, 8).double(),
    "half": drawn(10, 8).half(),
}


def stable_rank(W):
    sizes = torch.linalg.svdvals(W.double())
    return (sizes.square().sum() / sizes[0].square()).item()


@pytest.mark.parametrize("W", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("target", [0.05, 0.3])
def test_srn_s_bound_holds_for_every_weight_and_kills_none(W, spectral, target):
    bound = max(1.0, target * min(W.shape)) * (1 + 1e-3)
    for vector in (first_vector(W), torch.ones(W.shape[1]) / W.shape[1] ** 0.5, torch.eye(W.shape[1])[-1]):
        found, right = normalize(W, vector.to(first_vector(W)), target, spectral=spectral)
        assert stable_rank(found) <= bound
        largest, before = torch.linalg.svdvals(found.double())[0], torch.linalg.svdvals(W.double())[0]
        # What is left is as large as the longest row at least.
        assert largest >= (1 - 1e-5 if spectral else 0.999 * before / W.shape[0] ** 0.5)
        assert right.norm().item() == pytest.approx(1, abs=1e-5)


def test_srn_leaves_zeros_alone_and_normalises_what_they_become():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    nn.init.zeros_(net[1].weight)
    regularizer = StableRankNormalization(StableRankNormalization.Options(target=0.1))
    regularizer.attach(net)
    assert not net[1].weight.any()
    assert regularizer.vectors["1"].norm().item() == pytest.approx(1)
    with torch.no_grad():
        net[1].weight.copy_(drawn(4, 192))
    regularizer.after_step(net)
    assert stable_rank(net[1].weight.detach()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["srn", "low_rank_weights", "condlr"])
@pytest.mark.parametrize("start", ["zeros", "rank one"])
def test_a_layer_that_starts_at_nothing_learns(name, start):
    net = conv_net()
    with torch.no_grad():
        net[4].weight.zero_() if start == "zeros" else net[4].weight.copy_(torch.outer(drawn(4), drawn(16, seed=1)))
    x, y = images(40)
    split = Split((255 * x).to(torch.uint8), y)
    options = {"target": 1.0} if name == "srn" else {"rank": 0.5}
    config = Training(epochs=3, batch_size=10, learning_rate=0.1)
    train(net, split, config, seed=0, regularizers=made({name: {**options, "layers": ["4"]}}))
    sizes = torch.linalg.svdvals(net[4].weight.detach())
    assert sizes[0] > 1e-3
    assert sizes[1] > 1e-3 * sizes[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("kind", [LowRankWeights, CondLR, StableRankNormalization])
def test_weights_of_any_precision(kind, dtype):
    net, plain = (nn.Sequential(nn.Linear(12, 9), nn.Linear(9, 6)) for _ in range(2))
    plain.load_state_dict(net.state_dict())
    for each in (net.to(dtype), plain):
        regularizer = kind(kind.Options())
        regularizer.attach(each)
        each(torch.ones(2, 12, dtype=each[0].weight.dtype)).sum().backward()
        regularizer.after_step(each)
        regularizer.finish(each)
    for ours, other in zip(net.parameters(), plain.parameters(), strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.float(), other, atol=0.03, rtol=0.03)


def test_ranks_are_rounded_up_from_the_share_that_is_written():
    square = torch.empty(100, 100, device="meta")
    for hundredths in range(1, 101):
        assert rank_of(square, hundredths / 100) == hundredths
    assert rank_of(square, 0.551) == 56
    assert rank_of(square, 1e-12) == 1
