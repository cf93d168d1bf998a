"""A linear classifier on a layer's activations, for the labels trained on and for finer ones (paper, section 4.1)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lrbench.measures.base import Layer, Measure, Options, Progress, Row, Subject, proportion
from lrbench.strict import KeyPath

if TYPE_CHECKING:
    from lrbench.data import ImageData


class TransferOptions(Options):
    """A linear classifier on a layer's activations, for the labels trained on and for the fine ones (section 4.1)."""

    layer: Layer


class Transfer(Measure):
    """Accuracy of a linear classifier on a layer's activations, for the coarse labels and for the fine ones."""

    Options = TransferOptions

    def unfit(self, options: Any, data: "ImageData") -> Iterator[tuple[KeyPath, str]]:
        """Ask for fine labels."""
        if not data.fine_classes:
            yield (), f"{data.name} has no fine labels; group its classes by `data.superclasses`"

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass all images, and fit the classifiers."""
        return 0.8 * (train + test)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Fit on the training images, count on the test images, for either kind of labels."""
        from lrbench.diagnostics import embedding_accuracies, held

        model, layer, train, test = subject.model, options.layer, subject.train, subject.test
        assert train.fine is not None  # noqa: S101
        assert test.fine is not None  # noqa: S101
        kinds = (("coarse", train.labels, test.labels), ("fine", train.fine, test.fine))
        with held(model, train, [layer]) as seen, held(model, test, [layer]) as unseen:
            for index, (kind, y_train, y_test) in enumerate(kinds):
                pairs = (
                    (seen[layer].matrix, seen[layer].of(y_train)),
                    (unseen[layer].matrix, unseen[layer].of(y_test)),
                )
                accuracy = embedding_accuracies(*pairs, ["full"], subject.seed)["full"]
                yield proportion(f"transfer_{kind}", accuracy, len(test), layer=layer)
                progress((index + 1) / 2, kind)
