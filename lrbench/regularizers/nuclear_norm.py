"""The nuclear norm of a batch's activations: a convex stand-in for their rank.

Source: Fazel, Hindi and Boyd, *A rank minimization heuristic with application to minimum order system approximation*,
2001; on a network's features, Lezama, Qiu, Musé and Sapiro, *OLÉ: Orthogonal Low-rank Embedding*, CVPR 2018.
"""

import torch
from torch import Tensor, nn

from lrbench.catalogue import REGULARIZERS
from lrbench.errors import UsageError
from lrbench.measures.base import Options
from lrbench.regularizers.activations import Activations
from lrbench.regularizers.base import Regularizer, Seen
from lrbench.regularizers.named import Layers
from lrbench.strict import NonNegative


class NuclearNormOptions(Options):
    """What a suite can say of it.

    Attributes
    ----------
    layers : list of str
        Whose activations, each flattened to (N, m).
    weight : float, >= 0
        Of ||A||_* / N, summed over layers, and over the calls of one that a pass calls more than once.
    """

    layers: Layers
    weight: NonNegative = 0.01


@REGULARIZERS.register("nuclear_norm")
class NuclearNorm(Regularizer):
    """Nuclear norm of activations (Lezama et al., 2018): the sum of a batch's singular values is penalised."""

    Options = NuclearNormOptions
    options: NuclearNormOptions

    def attach(self, model: nn.Module) -> None:
        """Look at the layers."""
        self.activations = Activations(model, self.options.layers)

    def penalty(self, seen: Seen) -> Tensor:
        """Give the weighted nuclear norms; in several processes each takes those of its part of a batch.

        Raises
        ------
        UsageError
            If the pass did not call a layer.
        """
        taken = self.activations.taken()
        for name in self.options.layers:
            if name not in taken:
                msg = f"nuclear_norm: {name} gave nothing in a step of the training; name `layers` that each pass calls"
                raise UsageError(msg)
        with torch.autocast(seen.images.device.type, enabled=False):
            norms = [nuclear_norm(A) / len(A) for calls in taken.values() for A in calls]
        penalty: Tensor = self.options.weight * torch.stack(norms).sum()
        return penalty

    def finish(self, model: nn.Module) -> None:  # noqa: ARG002
        """Look no longer."""
        self.activations.remove()


def nuclear_norm(A: Tensor) -> Tensor:
    """Give the sum of a matrix's singular values, with the subgradient U V^T."""
    total: Tensor = torch.linalg.svdvals(A).sum()
    return total
