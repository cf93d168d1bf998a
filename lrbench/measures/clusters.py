"""The first two principal components of a layer's test activations, for a picture (paper, figure 6)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject
from lrbench.strict import Count

if TYPE_CHECKING:
    from lrbench.views import Block, Shown


class ClustersOptions(Options):
    """The first two principal components of a layer's test activations (paper, figure 6)."""

    layer: Layer
    samples: Count = 1000


class Clusters(Measure):
    """First two principal components of a layer's test activations, and what share of the variance they hold."""

    Options = ClustersOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "pca_share": Metric("share of the variance", parameters=("component",)),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give none: it is a picture."""
        yield from ()

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
            yield {"metric": "pca_share", "component": index, "value": share, "layer": options.layer, "n": len(split)}
