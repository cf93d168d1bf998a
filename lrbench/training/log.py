"""What a training says about each epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lrbench.lowrank import LRLayers


@dataclass(frozen=True)
class LayerLog:
    """What one LR-Layer did in an epoch: mean penalties L_c and L_N, and its state at the epoch's end.

    All zero before the LR-Layers are on. `rank`, `largest_eigenvalue`, `residual` and `projection_error` are those
    of `lrbench.lowrank.layer.LayerState`.
    """

    reconstruction: float
    norm: float
    rank: int
    largest_eigenvalue: float
    residual: float
    projection_error: float


@dataclass(frozen=True)
class EpochLog:
    """Means over an epoch's batches, what each LR-Layer did, and the mean penalty of each other regularizer."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    lr_layers_on: bool
    layers: dict[str, LayerLog] = field(default_factory=dict)
    penalties: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "EpochLog":
        """Counterpart of `dataclasses.asdict`."""
        layers = {name: LayerLog(**log) for name, log in content["layers"].items()}
        return cls(**{**content, "layers": layers})


def layer_logs(layers: LRLayers, means: Tensor) -> dict[str, LayerLog]:
    """Give the log of each LR-Layer, with its mean penalties, (layers, 2)."""
    states = {name: layers[name].state() for name in layers}
    return {
        name: LayerLog(reconstruction, norm, **state._asdict())
        for (name, state), (reconstruction, norm) in zip(states.items(), means.tolist(), strict=True)
    }
