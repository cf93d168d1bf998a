"""Layer cushion: how much less a layer shrinks the data than it may (Arora et al., 2018)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject, at_most
from lrbench.strict import Count, Distinct, Share

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from lrbench.diagnostics.linear_maps import LinearMap
    from lrbench.views import Block, Chart, Shown

BATCH = 256


class LayerCushionOptions(Options):
    """||A phi(x)|| / (||A||_F ||phi(x)||) of `layers` (default: all), over at most `samples` training images.

    phi(x) is a layer's input and A its linear map without the bias; of a convolution, the whole map of an image. The
    cushion of Arora et al. is the quantile 0, the smallest; `quantiles` are those that are given.
    """

    layers: list[Layer] | None = None
    quantiles: Annotated[list[Share], Field(min_length=1), Distinct] = Field(default_factory=lambda: [0.0, 0.05, 0.5])
    samples: Count | None = 1000


@named("layer_cushion")
class LayerCushion(Measure):
    """Layer cushion of each linear map: its smallest over the data, and other quantiles."""

    Options = LayerCushionOptions
    needs_train: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "layer_cushion": Metric("layer cushion", better="higher", parameters=("quantile",)),
        "layer_cushion_least": Metric("smallest over the layers", better="higher", parameters=("quantile",)),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give the smallest over the layers, and, of layers that are named, a row each."""
        from dataclasses import replace

        from lrbench.views import Block

        figure, least, columns = "layer_cushion", "layer_cushion_least", []
        over = [(_word(each), f"{least}[{each:g}]", each) for each in options.quantiles]
        smallest = [shown.column(least, word, "number", key, quantile=each) for word, key, each in over]
        yield Block("Layer cushion: that of the layer where it is smallest", smallest)
        for layer in dict.fromkeys(options.layers or ()):
            for each in options.quantiles:
                key, where = f"{figure}[{layer},{each:g}]", {"layer": layer, "quantile": each}
                columns.append(replace(shown.column(figure, _word(each), "number", key, **where), row=layer))
        yield Block("Layer cushion by layer", columns, by="layer")

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw each quantile by layer, in the network's order."""
        from lrbench.views import Axis, Chart, Panel

        rows = shown.rows("layer_cushion")
        if rows.empty:
            return
        x = Axis("value", "layer cushion", scale="log")
        y = Axis("layer", "layer", "category", order=list(dict.fromkeys(rows["layer"])))
        panels = [
            Panel(shown.rows("layer_cushion", quantile=each), x, y, "points", _word(each)) for each in options.quantiles
        ]
        caption = "||A phi(x)|| / (||A||_F ||phi(x)||) over training images, in the network's order; 1 is the most."
        yield Chart("layer-cushion", "Layer cushion", caption, panels, shown.labels)

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass the images."""
        return 0.6 * min(options.samples or train, train) + 1

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Pass the images, then take the quantiles of each layer; a layer that only meets 0 has none."""
        import torch

        from lrbench.attacks.frozen import frozen
        from lrbench.diagnostics.linear_maps import linear_maps

        split = at_most(options.samples, subject.train)
        maps = linear_maps(subject.model, options.layers)
        found: dict[str, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in maps}
        handles = [_watched(module, found[layer]) for layer, module in maps.items()]
        done = 0
        try:
            with frozen(subject.model), torch.no_grad():
                for images, labels in split.batches(BATCH):
                    subject.model(images)
                    done += len(labels)
                    progress(done / len(split), "layer cushion")
        finally:
            for handle in handles:
                handle.remove()
        least: dict[float, float] = {}
        for layer, parts in found.items():
            norms = {shape: frobenius(maps[layer], given) for shape, given in {g.shape: g for g, _ in parts}.items()}
            values = torch.cat([torch.empty(0), *(ratios / norms[given.shape] for given, ratios in parts)])
            values = values[values.isfinite()]
            for each in dict.fromkeys(options.quantiles) if len(values) else ():
                value = values.quantile(each).item()
                least[each] = min(value, least.get(each, value))
                yield {"metric": "layer_cushion", "value": value, "layer": layer, "quantile": each, "n": len(values)}
        for each, value in least.items():
            yield {"metric": "layer_cushion_least", "value": value, "quantile": each, "n": len(split)}


def shrinkage(module: "LinearMap", given: "Tensor", output: "Tensor") -> "Tensor":
    """Give ||A phi|| / ||phi|| of each input phi, float64, (N,); NaN for an input of 0.

    Parameters
    ----------
    module : nn.Linear or a convolution
    given : Tensor, (N, ...)
    output : Tensor, (N, ...)
        What the module gave for it, bias and all.
    """
    import torch

    if module.bias is not None:
        channels = () if isinstance(module, torch.nn.Linear) else (1,) * (output.ndim - 2)
        output = output - module.bias.view(-1, *channels)
    lengths = given.double().flatten(1).norm(dim=1)
    mapped: Tensor = output.double().flatten(1).norm(dim=1)
    shrunk: Tensor = mapped / lengths.masked_fill(lengths == 0, torch.nan)
    return shrunk


def frobenius(module: "LinearMap", given: "Tensor") -> float:
    """Give the Frobenius norm of the map that a module is on inputs like one, (1, ...), without its bias.

    Each entry of a kernel counts as often as it meets an entry of the input, and no zero of the padding.
    Exact but for padding that repeats entries (reflect, replicate).
    """
    import torch
    from torch.nn import functional

    ones, squares = torch.ones_like(given, dtype=torch.float64), module.weight.detach().double().square()
    # The layer's own way of padding, with other weights.
    if isinstance(module, torch.nn.Linear):
        total = functional.linear(ones, squares)
    else:
        total = module._conv_forward(ones, squares, None)
    return float(total.sum().sqrt())


def _watched(module: "LinearMap", found: "list[tuple[Tensor, Tensor]]") -> "RemovableHandle":
    """Note an example of what a module is given, and how it shrinks each input."""

    def note(_module: "nn.Module", inputs: tuple["Tensor", ...], output: "Tensor") -> None:
        found.append((inputs[0][:1].clone(), shrinkage(module, inputs[0], output).cpu()))

    return module.register_forward_hook(note)


def _word(quantile: float) -> str:
    return {0.0: "smallest", 0.5: "median", 1.0: "largest"}.get(quantile, f"quantile {quantile:g}")
