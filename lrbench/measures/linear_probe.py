"""A linear classifier on a layer's activations, for the labels trained on and for finer ones (paper, section 4.1)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.declared import named
from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject, proportion
from lrbench.strict import KeyPath

if TYPE_CHECKING:
    from lrbench.data import ImageData
    from lrbench.views import Block, Shown

KINDS = ("coarse", "fine")


class LinearProbeOptions(Options):
    """A linear classifier on a layer's activations, for the labels trained on and for the fine ones (section 4.1)."""

    layer: Layer


@named("linear_probe")
class LinearProbe(Measure):
    """Accuracy of a linear classifier on a layer, for the labels trained on and for finer ones."""

    Options = LinearProbeOptions
    needs_train: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "linear_probe_accuracy": Metric("accuracy", "percent", "higher", ("labels",)),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give the accuracy for either kind of labels."""
        from lrbench.views import Block

        figure = "linear_probe_accuracy"
        columns = [
            shown.column(figure, f"{kind} labels", "percent", f"{figure}[{kind}]", labels=kind) for kind in KINDS
        ]
        yield Block(f"Linear classifier on {options.layer}, trained on coarse labels", columns)

    def unfit(self, options: Any, data: "ImageData") -> Iterator[tuple[KeyPath, str]]:
        """Ask for fine labels."""
        if not data.fine_classes:
            yield (), f"{data.name} has no fine labels; group its classes by `data.superclasses`"

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass all images, and fit the classifiers."""
        return 0.8 * (train + test)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Fit on the training images, count on the test images, for either kind of labels."""
        from lrbench.diagnostics import embedding_accuracies, stored_activations

        model, layer, train, test = subject.model, options.layer, subject.train, subject.test
        assert train.fine is not None  # noqa: S101
        assert test.fine is not None  # noqa: S101
        kinds = zip(KINDS, (train.labels, train.fine), (test.labels, test.fine), strict=True)
        with stored_activations(model, train, [layer]) as seen, stored_activations(model, test, [layer]) as unseen:
            for index, (kind, y_train, y_test) in enumerate(kinds):
                pairs = (
                    (seen[layer].matrix, seen[layer].of(y_train)),
                    (unseen[layer].matrix, unseen[layer].of(y_test)),
                )
                accuracy = embedding_accuracies(*pairs, ["full"], subject.seed)["full"]
                yield proportion("linear_probe_accuracy", accuracy, len(test), layer=layer, labels=kind)
                progress((index + 1) / 2, kind)
