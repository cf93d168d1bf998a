"""Optimiser and schedules."""

from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from lrbench.recipes import Training


def make_optimizer(model: nn.Module, config: Training) -> SGD:
    """SGD in one fused kernel."""
    return SGD(
        model.parameters(),
        config.learning_rate,
        config.momentum,
        weight_decay=config.weight_decay,
        fused=True,
    )


def make_schedule(optimizer: SGD, config: Training, steps: int) -> LRScheduler:
    """Give the schedule that the suite names, over `steps` optimiser steps."""
    if config.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    if config.schedule == "one-cycle":
        return OneCycleLR(optimizer, config.learning_rate, total_steps=steps + 1, cycle_momentum=False)
    return LambdaLR(optimizer, _constant)


def _constant(_step: int) -> float:
    return 1.0
