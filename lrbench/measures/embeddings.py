"""Accuracy of a linear classifier on PCA embeddings of a layer (paper, section 4.4)."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from lrbench.measures.base import Layer, Measure, Options, Progress, Row, Subject, Within, proportion
from lrbench.strict import Count


class EmbeddingsOptions(Options):
    """Accuracy of a linear classifier on PCA embeddings of a layer (paper, section 4.4).

    `full` among the `dims` stands for the activations themselves.
    """

    layer: Layer
    dims: Annotated[list[Count | Literal["full"]], Field(min_length=1), Within("layer", otherwise="full")]


class Embeddings(Measure):
    """Accuracy of a max-margin linear classifier on PCA embeddings of a layer."""

    Options = EmbeddingsOptions

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass all images, and fit the classifiers."""
        return 0.8 * (train + test)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Fit on the training images, count on the test images."""
        from lrbench.diagnostics import embedding_accuracies, held

        model, layer, train, test = subject.model, options.layer, subject.train, subject.test
        with held(model, train, [layer]) as seen, held(model, test, [layer]) as unseen:
            progress(0.5, layer)
            pairs = (
                (seen[layer].matrix, seen[layer].of(train.labels)),
                (unseen[layer].matrix, unseen[layer].of(test.labels)),
            )
            accuracies = embedding_accuracies(*pairs, options.dims, subject.seed)
        for dim, accuracy in accuracies.items():
            yield proportion(f"embedding_accuracy_{dim}", accuracy, len(test), layer=layer)
