"""What is left of a network whose end is replaced by PCA and a linear classifier (paper, sections 3.5 and 4.4)."""

from collections.abc import Iterator
from typing import Annotated, Any

from lrbench.measures.base import Layer, Measure, Options, Progress, Row, Subject, Within, proportion
from lrbench.strict import Count


class CompressionOptions(Options):
    """Everything behind a layer replaced by PCA and a linear classifier (paper, sections 3.5 and 4.4)."""

    layer: Layer
    dim: Annotated[Count, Within("layer")]
    batch_size: Count = 128


class Compression(Measure):
    """Parameters, multiply-adds, time and accuracy of a network before and after its end is replaced."""

    Options = CompressionOptions

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass all images, and fit the classifier."""
        return 0.8 * (train + test)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Replace, then count both."""
        from lrbench.data import to_unit
        from lrbench.diagnostics import compressed, cost, evaluate, held

        model, train, test = subject.model, subject.train, subject.test
        with held(model, train, [options.layer]) as collected:
            progress(0.4, options.layer)
            layer = collected[options.layer]
            pair = layer.matrix, layer.of(train.labels)
            small = compressed(model, options.layer, pair, options.dim, subject.seed)
        progress(0.7, "measuring")
        images = to_unit(test[: options.batch_size].pixels)
        # What others do on the machine meanwhile slows it down, so that such a time is told apart.
        seconds = "seconds_per_image" if subject.alone else "seconds_per_image_beside_others"
        columns = {"layer": options.layer}
        for kind, network in (("full", model), ("compressed", small)):
            price = cost(network, images)
            correct = (evaluate(network, test) == test.labels).double().mean().item()
            yield proportion(f"compression_accuracy[{kind}]", correct, len(test), **columns)
            yield {"metric": f"parameters[{kind}]", "value": float(price.parameters), **columns}
            yield {"metric": f"multiply_adds[{kind}]", "value": float(price.multiply_adds), **columns}
            yield {"metric": f"{seconds}[{kind}]", "value": price.seconds, "n": len(images), **columns}
