"""Activations in, numbers out: variance ratios, ranks, low-dimensional embeddings, compressed networks."""

from lrbench.diagnostics.activations import StoredActivations, activations, evaluate, stored_activations
from lrbench.diagnostics.blocks import StoredMatrix
from lrbench.diagnostics.compression import Cost, compressed, cost
from lrbench.diagnostics.embeddings import embed, embedding_accuracies, linear_classifier
from lrbench.diagnostics.principal import Principal, principal
from lrbench.diagnostics.variance import (
    VarianceSpectrum,
    class_variance_ratios,
    effective_rank,
    stable_rank,
    variance_ratio,
    variance_spectrum,
)

__all__ = [
    "Cost",
    "Principal",
    "StoredActivations",
    "StoredMatrix",
    "VarianceSpectrum",
    "activations",
    "class_variance_ratios",
    "compressed",
    "cost",
    "effective_rank",
    "embed",
    "embedding_accuracies",
    "evaluate",
    "linear_classifier",
    "principal",
    "stable_rank",
    "stored_activations",
    "variance_ratio",
    "variance_spectrum",
]
