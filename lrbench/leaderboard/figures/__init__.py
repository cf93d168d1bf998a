"""Figures of a run, as PNG and SVG (paper, figures 1-6, and training curves). Knows no torch."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figures.lines import History, embeddings, misclassification, training, variance_ratio
from lrbench.leaderboard.figures.points import Cluster, class_variance, clusters
from lrbench.leaderboard.figures.robustness import smallest, worst_case
from lrbench.leaderboard.figures.style import rendered
from lrbench.leaderboard.layout import summed_up
from lrbench.names import in_path

__all__ = ["Artefacts", "draw"]


@dataclass(frozen=True)
class Artefacts:
    """What the figures need besides the results.

    Attributes
    ----------
    histories : dict
        (model, seed) -> its training's epochs.
    clusters : dict
        Model -> (points, (N, 2); labels, (N,)).
    classes : list of str
    sizes : dict
        Minimal attack -> model -> sizes of the perturbations found over all seeds, in the threat model's norm.
    """

    histories: dict[tuple[str, int], History] = field(default_factory=dict)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    sizes: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


def draw(board: Leaderboard, artefacts: Artefacts) -> dict[str, bytes]:
    """Draw every figure that the results allow: file name -> content."""
    files: dict[str, bytes] = {}
    for name, figure in _figures(board, artefacts):
        if figure is not None:
            files |= rendered(figure, name)
    return files


def _figures(board: Leaderboard, artefacts: Artefacts) -> Iterator[tuple[str, Figure | None]]:
    diagnostics = board.suite["diagnostics"]
    for layer in (diagnostics.get("variance_ratio") or {"layers": []})["layers"]:
        yield f"variance-ratio-{in_path(layer)}", variance_ratio(board, layer)
        yield f"class-variance-{in_path(layer)}", class_variance(board, layer)
    for label in summed_up(board.suite):
        yield f"misclassification-{label}", misclassification(board, label)
    yield "worst-case", worst_case(board)
    for label, sizes in artefacts.sizes.items():
        yield f"smallest-perturbation-{label}", smallest(sizes, board)
    yield "embeddings", embeddings(board)
    if diagnostics.get("clusters"):
        layer = diagnostics["clusters"]["layer"]
        found = {board.labels[model]: cluster for model, cluster in artefacts.clusters.items()}
        yield f"clusters-{in_path(layer)}", clusters(found, artefacts.classes, layer)
    yield "training", training(artefacts.histories, board.labels)
