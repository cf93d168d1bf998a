"""Small networks that more than one room's tests use."""

import torch
from torch import nn


def conv_net(seed=0, norm=nn.BatchNorm2d):
    """Four classes from (3, 8, 8) images; module "2" gives 216 features and "3.1" 16."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        norm(6),
        nn.ReLU(),
        nn.Sequential(nn.Flatten(), nn.Linear(216, 16)),
        nn.Linear(16, 4),
    )


def images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 8, 8, generator=generator), torch.randint(0, 4, (count,), generator=generator)
