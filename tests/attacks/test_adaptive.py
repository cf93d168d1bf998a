"""The adaptive attack leaves the subspace that it is told of; transfer, noise and EOT do what they say."""

import pytest
import torch
from torch import nn

from lrbench.attacks import PGD, AdaptiveLR, GaussianNoise, UniformNoise
from lrbench.attacks.gradients import input_gradient


def outside(model, layer, x, subspace):
    """Share of the activation's square that lies outside the subspace."""
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output.flatten(1)))
    with torch.no_grad():
        model(x)
    handle.remove()
    basis, shift = subspace
    shifted = seen[0] + shift
    return (shifted - shifted @ basis.T @ basis).square().sum(dim=1)


def test_it_leaves_the_subspace_further_than_pgd_does(small_net, batch):
    x, y = batch
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(16, 4, generator=generator)).Q.T
    subspace = (basis, torch.randn(16, generator=generator))
    plain = PGD(8 / 255, steps=10, loss="margin")(small_net, x, y)
    options = {"subspace": subspace, "steps": 10, "restarts": 1}
    adaptive = AdaptiveLR(8 / 255, "avgpool", 100.0, **options)(small_net, x, y)
    away = [outside(small_net, "avgpool", images, subspace).mean() for images in (x, plain, adaptive)]
    assert away[2] > away[1]
    assert away[2] > away[0]
    without = AdaptiveLR(8 / 255, "avgpool", 0.0, **options)(small_net, x, y)
    assert torch.equal(without, plain), "of weight 0 it is PGD"


def test_an_unknown_layer_is_named(small_net, batch):
    with pytest.raises(ValueError, match="no layer 'avgpol'"):
        AdaptiveLR(0.1, "avgpol")(small_net, *batch)


def test_noise_has_the_size_it_says():
    x = torch.full((200, 3, 8, 8), 0.5)
    y = torch.zeros(200, dtype=torch.int64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    gaussian = GaussianNoise(0.05, bounds=None)(model, x, y) - x
    assert gaussian.std().item() == pytest.approx(0.05, rel=0.02)
    uniform = UniformNoise(0.05)(model, x, y) - x
    assert uniform.abs().max() <= 0.05 + 1e-6
    assert uniform.std().item() == pytest.approx(0.05 / 3**0.5, rel=0.02)
    lengths = (UniformNoise(0.5, norm="l2")(model, x, y) - x).flatten(1).norm(dim=1)
    assert lengths.max() <= 0.5 + 1e-6
    assert lengths.mean().item() == pytest.approx(0.5 * 192 / 193, rel=0.01), "a ball's mass is at its surface"


def test_more_draws_of_noise_fool_no_fewer(small_net, batch):
    x, _ = batch
    y = small_net(x).argmax(dim=1)
    fooled = [(small_net(UniformNoise(0.3, draws)(small_net, x, y)).argmax(1) != y).sum() for draws in (1, 5, 25)]
    assert fooled == sorted(fooled)


def test_eot_averages_the_gradients_of_a_model_that_draws():
    class Drawn(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :4] * (1 + torch.randn(()))

    x, y = torch.rand(2, 1, 2, 2), torch.tensor([0, 1])
    torch.manual_seed(0)
    spread = []
    for eot in (1, 64):
        slopes = torch.stack([input_gradient(Drawn(), x, lambda z: z[:, 0], eot)[2] for _ in range(50)])
        spread.append(slopes[:, 0, 0, 0, 0].std())
    assert spread[1] < spread[0] / 4
    assert PGD(0.1, steps=2, eot=3)(Drawn(), x, y).shape == x.shape
