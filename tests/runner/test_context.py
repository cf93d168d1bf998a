"""What the steps of a run share."""

import torch
from torch import nn

from lrbench.lowrank import attach_lr_layers
from lrbench.runner.context import lr_subspace


def test_the_subspace_is_what_w_reaches():
    """Where the factor's coefficients are singular, its rows span more than W does."""
    torch.manual_seed(0)
    model = attach_lr_layers(nn.Sequential(nn.Flatten(), nn.Linear(8, 8)), {"1": 3})
    layer = model.lr_layers["1"]
    model.train()
    model(torch.randn(16, 8))
    model.lr_layers.penalty()
    layer.mix = torch.diag(torch.tensor([1.0, 1.0, 0.0]))
    basis, _ = lr_subspace(model, "1")
    assert basis.shape == (2, 8)
    assert torch.allclose(layer.weight @ basis.T @ basis, layer.weight, atol=1e-5)
    assert torch.linalg.matrix_rank(layer.weight) == 2
