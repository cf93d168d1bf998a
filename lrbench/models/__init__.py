"""Networks by name, each a module that takes images in [0, 1] and gives logits, and their checkpoints.

The architectures are modules of their own (`lrbench.models.resnet`): importing them loads torchvision, which a run
that has nothing left to do can spare.
"""

from lrbench.models.checkpoint import load_checkpoint, load_content, load_network, loose_state, save_checkpoint
from lrbench.models.classifier import Classifier, layer_names
from lrbench.models.network import Function, make_network
from lrbench.models.outputs import ChosenOutputs
from lrbench.models.weights import load_weights

__all__ = [
    "ChosenOutputs",
    "Classifier",
    "Function",
    "layer_names",
    "load_checkpoint",
    "load_content",
    "load_network",
    "load_weights",
    "loose_state",
    "make_network",
    "save_checkpoint",
]
