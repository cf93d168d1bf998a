"""Accuracy of a linear classifier on PCA embeddings of a layer (paper, section 4.4)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject, Within, proportion
from lrbench.strict import Count

if TYPE_CHECKING:
    from lrbench.views import Block, Chart, Column, Shown


class EmbeddingsOptions(Options):
    """Accuracy of a linear classifier on PCA embeddings of a layer (paper, section 4.4).

    `full` among the `dims` stands for the activations themselves.
    """

    layer: Layer
    dims: Annotated[list[Count | Literal["full"]], Field(min_length=1), Within("layer", otherwise="full")]


@named("embeddings")
class Embeddings(Measure):
    """Accuracy of a linear classifier on PCA embeddings of a layer."""

    Options = EmbeddingsOptions
    needs_train: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "embedding_accuracy": Metric("accuracy", "percent", "higher", parameters=("dimensions",)),
    }

    def summary(self, options: Any, shown: "Shown") -> Iterator["Column"]:
        """Give the accuracy in the fewest dimensions."""
        numbers = [dim for dim in options.dims if dim != "full"]
        yield from ([_accuracy(shown, options.layer, min(numbers))] if numbers else ())

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give the accuracy in so many dimensions each."""
        from lrbench.views import Block

        columns = [_accuracy(shown, options.layer, dim) for dim in options.dims]
        yield Block("Linear classifier on PCA embeddings", columns)

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw the accuracy by dimension, the most first (paper, tables 3 and 4)."""
        from lrbench.views import Axis, Chart, Panel, n_suffix

        rows = shown.rows("embedding_accuracy", layer=options.layer)
        dims = sorted(options.dims, key=lambda dim: float("inf") if dim == "full" else dim, reverse=True)
        names = {str(dim): "all" if dim == "full" else str(dim) for dim in dims}
        rows = rows[rows["dimensions"].isin(list(names))] if len(rows) else rows
        if rows.empty:
            return
        table = rows.assign(
            dims=rows["dimensions"].map(names), value=100 * rows["value"], low=100 * rows["ci_low"],
            high=100 * rows["ci_high"],
        )  # fmt: skip
        x = Axis("dims", f"dimensions kept of {options.layer}", "category", order=list(names.values()))
        y = Axis("value", f"test accuracy, %{n_suffix(rows)}")
        caption = f"On the activations of {options.layer}, all or few dimensions; the bar is the 95 % Wilson interval."
        title = "Linear classifier on PCA embeddings"
        yield Chart("embeddings", title, caption, [Panel(table, x, y, "points")], shown.labels)

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass all images, and fit the classifiers."""
        return 0.8 * (train + test)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Fit on the training images, count on the test images."""
        from lrbench.diagnostics import embedding_accuracies, stored_activations

        model, layer, train, test = subject.model, options.layer, subject.train, subject.test
        with stored_activations(model, train, [layer]) as seen, stored_activations(model, test, [layer]) as unseen:
            progress(0.5, layer)
            pairs = (
                (seen[layer].matrix, seen[layer].of(train.labels)),
                (unseen[layer].matrix, unseen[layer].of(test.labels)),
            )
            accuracies = embedding_accuracies(*pairs, options.dims, subject.seed)
        for dim, accuracy in accuracies.items():
            yield proportion("embedding_accuracy", accuracy, len(test), layer=layer, dimensions=dim)


def _accuracy(shown: "Shown", layer: str, dim: int | str) -> "Column":
    heading = f"accuracy {layer} in {'all' if dim == 'full' else dim} dims"
    key = f"embedding_accuracy_{dim}[{layer}]"
    return shown.column("embedding_accuracy", heading, "percent", key, layer=layer, dimensions=dim)
