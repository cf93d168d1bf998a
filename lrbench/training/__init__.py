"""One training loop for normal networks and those with LR-Layers."""

from lrbench.training.determinism import seeded
from lrbench.training.log import EpochLog, LayerLog
from lrbench.training.loop import train
from lrbench.training.parallel import in_processes

__all__ = ["EpochLog", "LayerLog", "in_processes", "seeded", "train"]
