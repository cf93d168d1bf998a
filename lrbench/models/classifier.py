"""The form in which every network is trained, attacked and measured: pixels in, logits out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lrbench.attacks.outputs import as_logits
from lrbench.models.around import Around


class Classifier(Around):
    """A network with its normalisation inside: takes images in [0, 1].

    Modules of the network are found under their own names as well: `get_submodule("layer3")` is the
    network's `layer3`, whatever wraps it.

    Parameters
    ----------
    net : nn.Module
        Takes normalised images, (N, C, H, W), in its own precision; gives logits, or what
        `lrbench.attacks.outputs.as_logits` makes such of.
    mean, std : sequences of C floats
        Channel statistics of the training images, for images in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(net)
        self.precision = precision(net)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images in [0, 1], in their dtype; under autocast in that of the network."""
        logits = as_logits(self.net(self.given(x)), len(x))
        return logits if torch.is_autocast_enabled(x.device.type) else logits.to(x)

    def given(self, x: Tensor) -> Tensor:
        """Give what the network takes for images in [0, 1]: normalised, in its precision."""
        normalised = (x - self.mean) / self.std
        return normalised if self.precision is None else normalised.to(self.precision)


def precision(net: nn.Module) -> torch.dtype | None:
    """Give the floating point dtype that all parameters and buffers of a network have; None if it is float32, or mixed.

    A network of several dtypes sees to them itself.
    """
    kinds = {tensor.dtype for tensor in (*net.parameters(), *net.buffers()) if tensor.is_floating_point()}
    return kinds.pop() if len(kinds) == 1 and torch.float32 not in kinds else None


def layer_names(net: nn.Module) -> list[str]:
    """Names of all modules of a network that a suite can refer to."""
    return [name for name, _ in net.named_modules() if name and not name.startswith("lr_layers")]
