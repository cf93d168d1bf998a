"""What can be measured of a trained model: one file a measure, found by the registry."""

from lrbench.measures.attacked import Attacked, AttackMeasure
from lrbench.measures.base import (
    BaseMeasure,
    Layer,
    Measure,
    Metric,
    Options,
    Progress,
    Row,
    Subject,
    Within,
    proportion,
)
from lrbench.measures.layers import dimensions, layer_options, named_layers

__all__ = [
    "AttackMeasure",
    "Attacked",
    "BaseMeasure",
    "Layer",
    "Measure",
    "Metric",
    "Options",
    "Progress",
    "Row",
    "Subject",
    "Within",
    "dimensions",
    "layer_options",
    "named_layers",
    "proportion",
]
