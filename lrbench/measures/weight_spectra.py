"""Stable rank, condition number and spectral norm of the weights."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.declared import named
from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject

if TYPE_CHECKING:
    from lrbench.views import Block, Chart, Shown


OF_LAYERS = ("weight_stable_rank", "weight_condition", "weight_norm")
"""Figures of each layer; the others sum them up."""


ROUNDING = 4
"""Units in the last place of a weight, relative to its norm: what a singular value of 0 is by the entries' rounding,
1.3 to 1.9 of these for products of 230 to 510 directions."""


class WeightSpectraOptions(Options):
    """Stable rank, condition number and spectral norm of the weights of `layers` (default: all).

    Layers are linear ones and convolutions. A convolution's weight is the matrix with a row an output channel.
    """

    layers: list[Layer] | None = None


@named("weight_spectra")
class WeightSpectra(Measure):
    """Stable rank, condition number and spectral norm of each weight matrix."""

    Options = WeightSpectraOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "weight_stable_rank": Metric("stable rank"),
        "weight_condition": Metric("condition number"),
        "weight_norm": Metric("spectral norm"),
        "weight_stable_rank_mean": Metric("mean stable rank"),
        "weight_condition_largest": Metric("largest condition number"),
        "weight_norm_product": Metric("log10 of the product of spectral norms"),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give what sums them up, and, of layers that are named, a row each."""
        from dataclasses import replace

        from lrbench.views import Block

        over = [(figure, metric) for figure, metric in self.figures.items() if figure not in OF_LAYERS]
        yield Block("Weights", [shown.column(figure, metric.heading, metric.form) for figure, metric in over])
        columns = [
            replace(shown.column(figure, self.figures[figure].heading, "number", layer=layer), row=layer)
            for layer in dict.fromkeys(options.layers or ())
            for figure in OF_LAYERS
        ]
        yield Block("Weights by layer", columns, by="layer")

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw each figure by layer, in the network's order."""
        from lrbench.views import Axis, Chart, Panel

        norms = shown.rows("weight_norm")
        if norms.empty:
            return
        y = Axis("layer", "layer", "category", order=list(dict.fromkeys(norms["layer"])))
        panels = [
            Panel(rows, Axis("value", self.figures[figure].heading, scale="log"), y, "points")
            for figure in OF_LAYERS
            if len(rows := shown.rows(figure))
        ]
        caption = "Of each weight matrix, in the network's order; of a convolution, the matrix with a row a channel."
        yield Chart("weights", "Spectra of the weights", caption, panels, shown.labels)

    def notes(self, options: Any, shown: "Shown") -> Iterator[str]:
        """Say what matrices these are."""
        yield (
            "Spectra of weights: of a convolution's kernel as a matrix, a row an output channel, batch norm not folded "
            "in. The product of their norms is no bound on how much the network amplifies its input."
        )

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass nothing: decompose the weights."""
        return 1.0

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Go through the layers; a weight that is 0 has no figures, and one without full rank no condition number.

        What sums them up is of those that have figures.
        """
        from math import log10

        import torch

        from lrbench.diagnostics.linear_maps import linear_maps, weight_matrix

        maps = linear_maps(subject.model, options.layers)
        norms, ranks, conditions = [], [], []
        for index, (layer, module) in enumerate(maps.items()):
            values = torch.linalg.svdvals(weight_matrix(module))
            largest, smallest = values[0], values[-1]
            if largest > 0:
                norms.append(largest.item())
                ranks.append((values / largest).square().sum().item())
                yield {"metric": "weight_norm", "value": norms[-1], "layer": layer}
                yield {"metric": "weight_stable_rank", "value": ranks[-1], "layer": layer}
            if smallest > largest * ROUNDING * torch.finfo(module.weight.dtype).eps:
                conditions.append((largest / smallest).item())
                yield {"metric": "weight_condition", "value": conditions[-1], "layer": layer}
            progress((index + 1) / len(maps), layer)
        if norms:
            yield {"metric": "weight_stable_rank_mean", "value": sum(ranks) / len(ranks)}
            yield {"metric": "weight_norm_product", "value": sum(map(log10, norms))}
        if conditions:
            yield {"metric": "weight_condition_largest", "value": max(conditions)}
