"""Threat-model spaces: pixels in [0, 1], or the paper's normalised images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NormalizedSpace(nn.Module):
    """A pixel-space model seen from normalised space, where the paper adds its perturbations.

    The paper (section 5) perturbs the image after normalisation to mean 0 and variance 1 per channel and clips to no
    pixel range; eps is then in units of a channel's standard deviation. An attack on this module works on
    z = (x - mean) / std, for any model of pixels, whatever normalisation it holds itself.

    Parameters
    ----------
    model : nn.Module
        Takes images in [0, 1], shape (N, C, H, W).
    mean, std : sequences of C floats
        Channel statistics of the data set, for images in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        like = next((p for p in model.parameters()), torch.empty(0))
        self.register_buffer("mean", like.new_tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", like.new_tensor(std).view(-1, 1, 1))

    def encode(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] to normalised."""
        return (x - self.mean) / self.std

    def decode(self, z: Tensor) -> Tensor:
        """Normalised to pixels; outside [0, 1] where the attack left that range."""
        return z * self.std + self.mean

    def forward(self, z: Tensor) -> Tensor:
        """Logits of normalised images."""
        logits: Tensor = self.model(self.decode(z))
        return logits
