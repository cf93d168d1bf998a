"""Some outputs of a network that knows more classes than a data set has."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lrbench.attacks.outputs import as_logits
from lrbench.models.around import Around


class ChosenOutputs(Around):
    """A network of which only some outputs count, as those of ImageNet's networks on ten of its classes.

    Modules of the network are found under their own names.

    Parameters
    ----------
    net : nn.Module
        Gives logits, (N, outputs).
    chosen : sequence of int
        Numbers of the outputs that count, in the order of the classes.
    """

    chosen: Tensor

    def __init__(self, net: nn.Module, chosen: Sequence[int]) -> None:
        super().__init__(net)
        self.register_buffer("chosen", torch.tensor(chosen), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the chosen outputs, (N, len(chosen))."""
        return as_logits(self.net(x), len(x)).index_select(1, self.chosen)
