"""The first two principal components of a layer's test activations, for a picture (paper, figure 6)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.declared import named
from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject
from lrbench.strict import Count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lrbench.views import Block, Chart, Panel, Shown

KEPT = "clusters.safetensors"


class ClustersOptions(Options):
    """The first two principal components of a layer's test activations (paper, figure 6)."""

    layer: Layer
    samples: Count = 1000


@named("clusters")
class Clusters(Measure):
    """The first two principal components of a layer's test activations, as a picture."""

    Options = ClustersOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "pca_share": Metric("share of the variance", parameters=("component",)),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give none: it is a picture."""
        yield from ()

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw the points of each model's first seed."""
        from safetensors.numpy import load

        from lrbench.views import Chart

        kept = {model: load(files[KEPT]) for model, files in shown.kept.get(shown.measure, {}).items() if KEPT in files}
        if not kept:
            return
        panels = [
            _panel(shown.labels[model], arrays["points"], [shown.classes[label] for label in arrays["label"]])
            for model, arrays in kept.items()
        ]
        name, title = f"clusters-{options.layer}", f"Test activations of {options.layer}"
        caption = "First two principal components of each model's first seed: the middle 98 % in each direction."
        yield Chart(name, title, caption, panels, {name: name for name in shown.classes}, by="class")

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
        subject.kept[KEPT] = save({"points": points, "label": split.labels.cpu()})
        for index, square in enumerate(found.squares, 1):
            share = float(square) / found.total
            yield {"metric": "pca_share", "component": index, "value": share, "layer": options.layer, "n": len(split)}


def _panel(title: str, points: "NDArray[np.float32]", classes: list[str]) -> "Panel":
    """Show the middle 98 % in each direction and a margin: a few far points would leave no room for the others."""
    import numpy as np
    import pandas as pd

    from lrbench.views import Axis, Panel

    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    margin = 0.08 * np.maximum(high - low, 1e-12)
    low, high = low - margin, high + margin
    inside = ((points >= low) & (points <= high)).all(axis=1)
    beyond = int((~inside).sum())
    table = pd.DataFrame({"first": points[:, 0], "second": points[:, 1], "class": classes})[inside]
    x, y = (
        Axis(name, f"{name} principal component", domain=(float(low[way]), float(high[way])))
        for way, name in enumerate(("first", "second"))
    )
    caption = f"{title}\n{beyond:,} of {len(points):,} points lie outside" if beyond else title
    return Panel(table, x, y, "scatter", caption)
