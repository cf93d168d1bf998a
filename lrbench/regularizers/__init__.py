"""ONE FILE A REGULARIZER: what is added to a training's loss, and what is done to the network after a step.

Importing this loads no torch: a suite reads the options of those that it names.
"""

from lrbench.regularizers.base import Regularizer, Seen

__all__ = ["Regularizer", "Seen"]
