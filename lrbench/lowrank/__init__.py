"""The LR-Layer and its rank projections: linear algebra on tensors, independent of the rest of lrbench."""

from lrbench.lowrank.attach import LRLayers, attach_lr_layers, bias_at, subspace_at
from lrbench.lowrank.dense import nystrom, truncate
from lrbench.lowrank.layer import LRLayer

__all__ = ["LRLayer", "LRLayers", "attach_lr_layers", "bias_at", "nystrom", "subspace_at", "truncate"]
