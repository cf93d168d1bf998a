"""Activations in, numbers out: variance ratios and low-dimensional embeddings."""

from lrbench.diagnostics.activations import activations, evaluate
from lrbench.diagnostics.blocks import StoredMatrix
from lrbench.diagnostics.embeddings import embedding_accuracies, linear_classifier
from lrbench.diagnostics.principal import Principal, principal
from lrbench.diagnostics.variance import (
    VarianceSpectrum,
    class_variance_ratios,
    variance_ratio,
    variance_spectrum,
)

__all__ = [
    "Principal",
    "StoredMatrix",
    "VarianceSpectrum",
    "activations",
    "class_variance_ratios",
    "embedding_accuracies",
    "evaluate",
    "linear_classifier",
    "principal",
    "variance_ratio",
    "variance_spectrum",
]
