"""What is left of a network whose end is replaced by PCA and a linear classifier (paper, sections 3.5 and 4.4)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from lrbench.declared import named
from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject, Within, proportion
from lrbench.strict import Count

if TYPE_CHECKING:
    from lrbench.views import Block, Chart, Shown

PART = ("part",)
"""Of the whole network, `full`, or of the one with its end replaced, `compressed`."""


class CompressionOptions(Options):
    """Everything behind a layer replaced by PCA and a linear classifier (paper, sections 3.5 and 4.4)."""

    layer: Layer
    dim: Annotated[Count, Within("layer")]
    batch_size: Count = 128


@named("compression")
class Compression(Measure):
    """Parameters, multiply-adds, time and accuracy with a network's end replaced by PCA and a linear classifier."""

    Options = CompressionOptions
    needs_train: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "parameters": Metric("parameters", "count", "lower", PART),
        "multiply_adds": Metric("multiply-adds", "count", "lower", PART),
        "seconds_per_image": Metric("ms an image", "milliseconds", "lower", PART, time=True),
        "seconds_per_image_beside_others": Metric(
            "ms an image beside other jobs", "milliseconds", "lower", PART, time=True
        ),
        "compression_accuracy": Metric("accuracy", "percent", "higher", PART),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give each figure of both networks."""
        from lrbench.views import Block

        columns = [
            shown.column(name, f"{metric.heading}, {part}", metric.form, f"{name}[{part}]", part=part)
            for name, metric in self.figures.items()
            for part in ("full", "compressed")
        ]
        yield Block(
            f"Everything behind {options.layer} replaced by {options.dim} dimensions and a linear classifier", columns
        )

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw what both networks cost, and how good they are; times are as good as the machine that they are of."""
        from lrbench.views import Axis, Chart, Panel, n_suffix

        for figure, metric in self.figures.items():
            rows = shown.rows(figure, layer=options.layer)
            if rows.empty or metric.time:
                continue
            percent = metric.form == "percent"
            scale = 100 if percent else 1
            ends = {"low": scale * rows["ci_low"], "high": scale * rows["ci_high"]} if percent else {}
            table = rows.assign(value=scale * rows["value"], **ends)
            y = Axis("value", f"{metric.heading}{', %' if percent else ''}{n_suffix(rows) if percent else ''}",
                     "number" if percent else "count")  # fmt: skip
            panel = Panel(table, Axis("part", "network", "category", order=("full", "compressed")), y, "bars")
            caption = (
                f"{metric.heading.capitalize()} of the whole network, and of the one with all behind {options.layer} "
                f"replaced.{' The error bar is the 95 % Wilson interval.' if percent else ''}"
            )
            title = f"Compression: {metric.heading}"
            yield Chart(f"compression-{figure}", title, caption, [panel], shown.labels, file="")

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass all images, and fit the classifier."""
        return 0.8 * (train + test)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Replace, then count both."""
        from lrbench.data import to_unit
        from lrbench.diagnostics import compressed, cost, evaluate, stored_activations

        model, train, test = subject.model, subject.train, subject.test
        with stored_activations(model, train, [options.layer]) as collected:
            progress(0.4, options.layer)
            layer = collected[options.layer]
            pair = layer.matrix, layer.of(train.labels)
            small = compressed(model, options.layer, pair, options.dim, subject.seed)
        progress(0.7, "measuring")
        images = to_unit(test[: options.batch_size].pixels)
        # What others do on the machine meanwhile slows it down, so that such a time is told apart.
        seconds = "seconds_per_image" if subject.alone else "seconds_per_image_beside_others"
        for part, network in (("full", model), ("compressed", small)):
            price = cost(network, images)
            correct = (evaluate(network, test) == test.labels).double().mean().item()
            columns = {"layer": options.layer, "part": part}
            yield proportion("compression_accuracy", correct, len(test), **columns)
            yield {"metric": "parameters", "value": float(price.parameters), **columns}
            yield {"metric": "multiply_adds", "value": float(price.multiply_adds), **columns}
            yield {"metric": seconds, "value": price.seconds, "n": len(images), **columns}
