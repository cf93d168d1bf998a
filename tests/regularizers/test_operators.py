"""Each regularizer's operator against a plain transcription in NumPy, or in torch by another way."""

import numpy as np
import pytest
import torch
from support.nets import conv_net, images
from torch import nn

from lrbench.data import Split
from lrbench.errors import UsageError
from lrbench.regularizers import Seen
from lrbench.regularizers.condlr import Conditioned, conditioned, orthonormal
from lrbench.regularizers.jacobian import Jacobian, projected_square
from lrbench.regularizers.low_rank_weights import Product
from lrbench.regularizers.mean_sparse import MeanSparse
from lrbench.regularizers.nuclear_norm import NuclearNorm
from lrbench.regularizers.spectral_norm import SpectralNorm
from lrbench.regularizers.srn import first_vector, normalize

SHAPES = [(6, 27), (27, 6), (5, 5), (1, 9)]


def matrix(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain_srn(W, target, spectral):
    """Sanyal et al., algorithm 1: the first singular pair is kept, the rest is shrunk to what is left of the rank."""
    U, s, Vt = np.linalg.svd(W)
    first = s[0] * np.outer(U[:, 0], Vt[0])
    rest = W - first
    r = max(1.0, target * min(W.shape))
    gamma = np.sqrt(r - 1) * np.linalg.norm(first) / max(np.linalg.norm(rest), 1e-30)
    found = first + gamma * rest if gamma < 1 else W
    return found / s[0] if spectral else found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("target", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("spectral", [False, True])
def test_srn_is_the_paper_s_once_the_power_iteration_has_converged(shape, target, spectral):
    W = matrix(shape)
    vector = first_vector(W)
    for _ in range(300):
        _, vector = normalize(W, vector, target, spectral=spectral)
    found, _ = normalize(W, vector, target, spectral=spectral)
    np.testing.assert_allclose(found, plain_srn(W.double().numpy(), target, spectral), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_srn_keeps_its_bound_whatever_the_vector(shape):
    W = matrix(shape)
    for seed in range(20):
        vector = nn.functional.normalize(matrix((shape[1],), seed), dim=0)
        sizes = torch.linalg.svdvals(normalize(W, vector, 0.3, spectral=True)[0])
        assert sizes.square().sum() / sizes[0] ** 2 <= max(1.0, 0.3 * min(shape)) + 1e-4
        assert sizes[0] >= 1 - 1e-5


@pytest.mark.parametrize("condition", [1.0, 2.0, 10.0, 1e6])
def test_condlr_s_projection_is_that_of_its_authors(condition):
    S = matrix((6, 6))
    U, s, Vt = np.linalg.svd(S.double().numpy())
    mean, share = s.mean(), (condition - 1) / (condition + 1)
    expected = (U * np.clip(s, mean - share * mean, mean + share * mean)) @ Vt
    found = conditioned(S, condition)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    sizes = torch.linalg.svdvals(found)
    assert sizes[0] <= condition * sizes[-1] * (1 + 1e-4)


def test_condlr_s_factors_come_back_to_the_nearest_frames_with_their_span():
    factor = matrix((9, 4))
    Q = orthonormal(factor)
    torch.testing.assert_close(Q.T @ Q, torch.eye(4), atol=1e-5, rtol=0)
    # Of Gram and Schmidt's, whose R has a positive diagonal by its making.
    for column in range(4):
        plain = factor[:, column] - Q[:, :column] @ (Q[:, :column].T @ factor[:, column])
        torch.testing.assert_close(Q[:, column], plain / plain.norm(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", [Product, Conditioned])
@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_factors_begin_at_the_best_approximation(kind, share):
    weight = matrix((8, 3, 3, 3))
    made = kind(weight, share)
    found = made(*made.right_inverse(weight))
    U, s, Vt = np.linalg.svd(weight.flatten(1).double().numpy(), full_matrices=False)
    rank = int(np.ceil(share * 8))
    expected = (U[:, :rank] * s[:rank]) @ Vt[:rank]
    assert found.shape == weight.shape
    np.testing.assert_allclose(found.flatten(1), expected, atol=1e-5)


def test_spectral_norm_divides_by_the_largest_singular_value():
    net = conv_net()
    before = net[0].weight.detach().clone()
    spectral = SpectralNorm(SpectralNorm.Options(iterations=100))
    spectral.attach(net)
    net(images(4)[0])
    spectral.finish(net)
    assert type(net[0]) is nn.Conv2d
    expected = before / np.linalg.svd(before.flatten(1).numpy(), compute_uv=False)[0]
    torch.testing.assert_close(net[0].weight.detach(), expected, atol=1e-5, rtol=0)


def seen_of(net, x, y):
    return Seen(x, net(x), y, torch.Generator().manual_seed(5))


def test_the_nuclear_norm_and_its_gradient():
    net = conv_net().train()
    regularizer = NuclearNorm(NuclearNorm.Options(layers=["3.1", "2"], weight=0.5))
    regularizer.attach(net)
    x, y = images(8)
    seen = seen_of(net, x, y)
    kept = {name: each.detach().flatten(1) for name, (each,) in regularizer.activations.of.items()}
    penalty = regularizer.penalty(seen)
    expected = 0.5 * sum(np.linalg.svd(A.numpy(), compute_uv=False).sum() / 8 for A in kept.values())
    assert penalty.item() == pytest.approx(expected, rel=1e-5)
    weight = net[3][1].weight
    (gradient,) = torch.autograd.grad(penalty, weight)
    # Of the last layer alone: d||A||_* / dA = U V^T.
    U, _, Vh = torch.linalg.svd(kept["3.1"], full_matrices=False)
    torch.testing.assert_close(gradient, 0.5 / 8 * (U @ Vh).T @ kept["2"], atol=1e-4, rtol=1e-3)
    net.eval()(x)
    assert not regularizer.activations.of, "attacks on a batch are not what is penalised"
    regularizer.finish(net)
    assert not net[2]._forward_hooks


def test_the_jacobian_s_norm_by_projections_on_a_basis_is_exact():
    net = conv_net().eval()
    x, _ = images(3)
    x.requires_grad_()
    logits = net(x)
    whole = torch.stack([torch.autograd.functional.jacobian(lambda each: net(each[None])[0], each) for each in x])
    expected = whole.square().sum() / 3
    # The mean over orthonormal directions is what a random one has on average.
    found = torch.stack([projected_square(logits, x, direction.expand(3, -1)) for direction in torch.eye(4)]).mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_jacobian_draws_from_the_training_s_generator_and_reaches_the_weights():
    net = conv_net().train()
    x, y = images(6)
    regularizer = Jacobian(Jacobian.Options(weight=2.0, projections=3))
    x.requires_grad_()
    penalty = regularizer.penalty(seen_of(net, x, y))
    generator = torch.Generator().manual_seed(5)
    logits = net(x)
    expected = 0.0
    for _ in range(3):
        drawn = torch.randn(6, 4, generator=generator)
        (J,) = torch.autograd.grad((logits * drawn / drawn.norm(dim=1, keepdim=True)).sum(), x, retain_graph=True)
        expected += 4 * J.square().sum() / 6 / 3
    torch.testing.assert_close(penalty, expected, rtol=1e-4, atol=0)
    penalty.backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in (net[0].weight, net[4].weight))


def test_mean_sparse_sets_to_the_channel_s_mean_what_is_near_it():
    net = conv_net().eval()
    regularizer = MeanSparse(MeanSparse.Options(threshold=0.5, batch_size=7))
    x, y = images(40)
    raw = (255 * x).round().to(torch.uint8)
    with torch.no_grad():
        before = net[1](net[0](raw / 255)).double().numpy()
        regularizer.attach(net)
        torch.testing.assert_close(net[1](net[0](raw / 255)).double().numpy(), before)
        regularizer.fit(net, Split(raw, y))
        found = net[1](net[0](raw / 255)).numpy()
    mean, deviation = before.mean((0, 2, 3), keepdims=True), before.std((0, 2, 3), keepdims=True)
    near = np.abs(before - mean) <= 0.5 * deviation
    edge = np.abs(np.abs(before - mean) - 0.5 * deviation) < 1e-5
    assert 0.2 < near.mean() < 0.6
    np.testing.assert_allclose(np.where(edge, 0, found), np.where(edge, 0, np.where(near, mean, before)), atol=1e-5)


def test_mean_sparse_has_the_gradient_of_what_it_computes():
    net = nn.Sequential(nn.BatchNorm1d(3))
    regularizer = MeanSparse(MeanSparse.Options(threshold=1.0))
    regularizer.attach(net)
    sparse = net[0][1]
    sparse.mean, sparse.width = torch.zeros(3), torch.ones(3)
    x = torch.tensor([[0.5, -2.0, 3.0]], requires_grad=True)
    sparse(x).sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0, 1.0]]
    assert sparse(x.double()).dtype == torch.float64


def test_mean_sparse_asks_for_layers_where_there_is_no_batch_norm():
    with pytest.raises(UsageError, match="no batch norm; name the `layers`"):
        MeanSparse(MeanSparse.Options()).attach(nn.Sequential(nn.Linear(2, 2)))
    net = nn.Sequential(nn.Linear(2, 2))
    MeanSparse(MeanSparse.Options(layers=["0"])).attach(net)
    assert len(net[0]) == 2
