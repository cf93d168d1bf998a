"""The first two principal components of a layer's test activations, for a picture (paper, figure 6)."""

from collections.abc import Iterator
from typing import Any

from lrbench.measures.base import Layer, Measure, Options, Progress, Row, Subject
from lrbench.strict import Count


class ClustersOptions(Options):
    """The first two principal components of a layer's test activations (paper, figure 6)."""

    layer: Layer
    samples: Count = 1000


class Clusters(Measure):
    """First two principal components of a layer's test activations, and what share of the variance they hold."""

    Options = ClustersOptions

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Keep the points for the picture."""
        import torch
        from safetensors.torch import save

        from lrbench.diagnostics import activations, embed, principal

        split = subject.test.balanced(min(options.samples, len(subject.test)))
        matrix = activations(subject.model, split, [options.layer])[options.layer]
        found = principal(matrix, 2, center=True, seed=subject.seed)
        progress(1.0, options.layer)
        points = torch.from_numpy(embed(found, matrix))
        subject.kept["clusters.safetensors"] = save({"points": points, "label": split.labels.cpu()})
        for index, square in enumerate(found.squares, 1):
            share = float(square) / found.total
            yield {"metric": f"pca_share_{index}", "value": share, "layer": options.layer, "n": len(split)}
