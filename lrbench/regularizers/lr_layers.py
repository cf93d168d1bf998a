"""LR-Layers, as a training sees them: they join in at an accuracy, grow to full weight, and follow each batch.

A suite says where they sit by keys of its own (`lr_layers`, `low_rank`), so they are registered under no name.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.lowrank import LRLayers
from lrbench.measures.base import Options
from lrbench.regularizers.base import Regularizer, Seen


class LRLayerRegularizer(Regularizer):
    """The penalties L_c and L_N of a network's LR-Layers, and the updates of W and b (paper, algorithm 1).

    Parameters
    ----------
    layers : LRLayers
        Of the network.
    warmup_accuracy : float
        Training accuracy of an epoch after which they are on; 0: from the start.
    ramp_steps : int, >= 1
        Over which the penalties grow to full weight.
    """

    # A recorded step makes the updates as well, beside its gradients (`lrbench.lowrank.recorded`).
    recordable = True

    def __init__(self, layers: LRLayers, warmup_accuracy: float, ramp_steps: int) -> None:
        super().__init__(Options())
        self.layers, self.warmup_accuracy, self.ramp_steps = layers, warmup_accuracy, ramp_steps
        self.penalised_steps = 0
        self.on = False
        self.totals = torch.zeros(0)

    @property
    def active(self) -> LRLayers | None:
        """The layers while they are on."""
        return self.layers if self.on else None

    @property
    def ramp(self) -> float:
        """Share of the full weight."""
        return min(1.0, self.penalised_steps / self.ramp_steps)

    def attach(self, model: nn.Module) -> None:
        """Begin with layers that are off, unless no accuracy is asked for."""
        self.totals = torch.zeros(len(self.layers), 2, device=next(model.parameters()).device)
        self.layers.enable(enabled=False)
        self.after_epoch(0.0)

    def penalty(self, seen: Seen) -> Tensor | None:
        """Give the sum over layers of both penalties, at the weight reached; None while they are off."""
        if not self.on:
            return None
        penalties = torch.stack([torch.stack(pair) for pair in self.layers.penalties().values()])
        self.totals += penalties.detach()
        return seen.ramp * penalties.sum()

    def after_step(self, model: nn.Module) -> None:  # noqa: ARG002
        """Move W and b."""
        if self.on:
            self.layers.update()

    def after_epoch(self, accuracy: float) -> None:
        """Switch on at the accuracy."""
        if accuracy >= self.warmup_accuracy and not self.on:
            self.on = True
            self.layers.enable()

    def state(self) -> dict[str, Any]:
        """Give how far the ramp is, and whether they are on; the rest is in the network's state."""
        return {"penalised_steps": self.penalised_steps, "on": self.on}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Counterpart of `state`."""
        self.penalised_steps, self.on = state["penalised_steps"], state["on"]
