"""Where decompositions are cheap and asking costs nothing."""

import torch
from torch import Tensor


def on_cpu(values: Tensor) -> bool:
    """Whether a tensor is the CPU's: there a decomposition costs what it computes, and the host never waits."""
    return values.device.type == "cpu"


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor of the CPU to a device without waiting for it."""
    if device.type != "cuda" or not on_cpu(values):
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
