"""Step 2, second half: what LR-Layers add to a training step."""

from benchmarks.gpu.updates import training_rows as rows

__all__ = ["rows"]
