"""Activations in, numbers out: variance ratios and low-dimensional embeddings."""

from lrbench.diagnostics.activations import activations, evaluate
from lrbench.diagnostics.embeddings import embedding_accuracies, embedding_classifier
from lrbench.diagnostics.variance import class_variance_ratios, variance_ratio

__all__ = [
    "activations",
    "class_variance_ratios",
    "embedding_accuracies",
    "embedding_classifier",
    "evaluate",
    "variance_ratio",
]
