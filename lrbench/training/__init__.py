"""One training loop for normal networks and those with LR-Layers."""

from lrbench.training.determinism import seeded
from lrbench.training.loop import EpochLog, LayerLog, train

__all__ = ["EpochLog", "LayerLog", "seeded", "train"]
