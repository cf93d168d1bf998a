"""Neural collapse NC1 to NC4 of a layer's training activations (Papyan, Han and Donoho, 2020)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lrbench.declared import named
from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject, at_most
from lrbench.strict import Count, KeyPath

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lrbench.data import ImageData
    from lrbench.diagnostics.blocks import Matrix
    from lrbench.views import Block, Shown


ROUNDING = 1e-6
"""Of class means of activations that are float32, relative to the means."""


SPREAD = {"nc2_norms": "norms", "nc2_cosines": "cosines", "nc2_angle": "angle"}
"""Figures of NC2, as tables call them."""


class NeuralCollapseOptions(Options):
    """NC1 to NC4 of the training activations of `layer`, the features in front of the classifier (`samples`: all).

    The classifier is the last linear layer that takes as many features and has an output a class; without one, only
    what needs no classifier is given.
    """

    layer: Layer
    samples: Count | None = None


@named("neural_collapse")
class NeuralCollapse(Measure):
    """How far features have collapsed to class means that form a simplex, and the classifier with them."""

    Options = NeuralCollapseOptions
    needs_train: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "nc1": Metric("NC1, variation within classes"),
        "nc2_norms": Metric("NC2, spread of the norms of", parameters=("of",)),
        "nc2_cosines": Metric("NC2, spread of the cosines of", parameters=("of",)),
        "nc2_angle": Metric("NC2, distance from the largest angle of", parameters=("of",)),
        "nc3": Metric("NC3, distance of classifier and means"),
        "nc4": Metric("NC4, unlike the nearest mean", "percent"),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give NC1 to NC4 in their order."""
        from lrbench.views import Block

        at, columns = options.layer, [shown.column("nc1", "NC1", "number", layer=options.layer)]
        for of in ("means", "classifier"):
            for figure, word in SPREAD.items():
                columns.append(shown.column(figure, f"NC2 {word}, {of}", "number", f"{figure}[{of}]", layer=at, of=of))
        columns.append(shown.column("nc3", "NC3", "number", layer=at))
        columns.append(shown.column("nc4", "NC4 %", "percent", layer=at))
        yield Block(f"Neural collapse at {at}", columns)

    def notes(self, options: Any, shown: "Shown") -> Iterator[str]:
        """Say where collapse is."""
        yield (
            f"Neural collapse at {options.layer} (Papyan et al., 2020), 0 where it is complete. NC1: variation within "
            "classes over that between them. NC2: spread of the norms and of the cosines of class means, or of the "
            "classifier's rows, and distance from the largest angle there is. NC3: distance of classifier and class "
            "means. NC4: images that are classified otherwise than by the nearest class mean."
        )

    def unfit(self, options: Any, data: "ImageData") -> Iterator[tuple[KeyPath, str]]:
        """Ask for an image a class."""
        if options.samples is not None and options.samples < len(data.classes):
            yield ("samples",), f"asks for {options.samples} images of {len(data.classes)} classes; each needs one"

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass the training images, twice."""
        return 0.8 * min(options.samples or train, train)

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Take the class means, then what is around them."""
        from lrbench.diagnostics import evaluate, stored_activations

        split, classes = at_most(options.samples, subject.train), len(subject.classes)
        with stored_activations(subject.model, split, [options.layer]) as collected:
            progress(0.5, options.layer)
            layer = collected[options.layer]
            labels, predicted = layer.of(split.labels), layer.of(evaluate(subject.model, split))
            means = class_means(layer.matrix, labels, classes)
            nc1, nearest = around(layer.matrix, labels, means)
        at: Row = {"layer": options.layer, "n": len(split)}
        if nc1 is not None:
            yield {"metric": "nc1", "value": nc1, **at}
        centred = about_their_mean(means)
        weight = _classifier(subject.model, *means.shape)
        for of, vectors in {"means": centred, **({} if weight is None else {"classifier": weight})}.items():
            for figure, value in simplex(vectors).items():
                yield {"metric": figure, "of": of, "value": value, **at}
        if weight is not None and centred.any() and weight.any():
            yield {"metric": "nc3", "value": duality(weight, centred), **at}
        yield {"metric": "nc4", "value": (nearest != predicted).double().mean(), **at}
        progress(1.0, options.layer)


def class_means(features: "Matrix", labels: "Tensor", classes: int) -> "Tensor":
    """Give the mean of each class's rows, (C, m), float64, on the CPU.

    Raises
    ------
    ValueError
        If a class has no rows.
    """
    import torch

    from lrbench.diagnostics.blocks import blocks_of

    counts = torch.bincount(labels, minlength=classes)
    if len(counts) > classes or not counts.all():
        msg = "every class needs at least one image"
        raise ValueError(msg)
    sums, begin = torch.zeros(classes, features.shape[1], dtype=torch.float64), 0
    for block in blocks_of(features):
        sums.index_add_(0, labels[begin : begin + len(block)], block.cpu().double())
        begin += len(block)
    return sums / counts[:, None]


def about_their_mean(means: "Tensor") -> "Tensor":
    """Give class means minus their mean, (C, m); 0 where they differ by no more than rounding."""
    centred = means - means.mean(dim=0)
    return centred if centred.norm() > ROUNDING * means.norm() else centred * 0


def around(features: "Matrix", labels: "Tensor", means: "Tensor") -> tuple[float | None, "Tensor"]:
    """Give NC1, trace(S_W pinv(S_B)) / C, and the class of the mean nearest to each row, int64, (N,).

    S_W is the covariance within classes and S_B that of the class means about their mean. None where all means are one.
    """
    import torch

    from lrbench.diagnostics.blocks import blocks_of

    # S_B has rank C - 1 at most: S_W is needed in those directions alone.
    _, scales, directions = torch.linalg.svd(about_their_mean(means), full_matrices=False)
    # Further directions are those of the activations' rounding.
    kept = scales > ROUNDING * means.norm()
    kept[len(means) - 1 :] = False
    basis = directions[kept] / scales[kept, None]
    total, nearest, begin = 0.0, [], 0
    for block in blocks_of(features):
        rows, own = block.cpu().double(), labels[begin : begin + len(block)]
        total += ((rows - means[own]) @ basis.T).square().sum().item()
        nearest.append(torch.cdist(rows, means).argmin(dim=1))
        begin += len(block)
    return (total / begin if len(basis) else None), torch.cat(nearest)


def simplex(vectors: "Tensor") -> dict[str, float]:
    """Say how far the rows of (C, m) are from a simplex: of equal norms, and at equal angles that are the largest.

    The norms' standard deviation over their mean, the standard deviation of the cosines of all pairs, and the mean of
    |cosine + 1 / (C - 1)|; nothing where a row is 0.
    """
    norms = vectors.norm(dim=1)
    count = len(vectors)
    if not norms.all() or count < 2:
        return {}
    unit = vectors / norms[:, None]
    rows, columns = _pairs(count)
    cosines = (unit @ unit.T)[rows, columns]
    return {
        "nc2_norms": (norms.std(correction=0) / norms.mean()).item(),
        "nc2_cosines": cosines.std(correction=0).item(),
        "nc2_angle": (cosines + 1 / (count - 1)).abs().mean().item(),
    }


def duality(weight: "Tensor", centred: "Tensor") -> float:
    """Give NC3: ||W / ||W||_F - M / ||M||_F||_F^2 of classifier and centred class means, (C, m) each."""
    return float((weight / weight.norm() - centred / centred.norm()).square().sum())


def _pairs(count: int) -> "Tensor":
    import torch

    return torch.triu_indices(count, count, 1)


def _classifier(model: "nn.Module", classes: int, features: int) -> "Tensor | None":
    from torch import nn

    linear = [each for each in model.modules() if isinstance(each, nn.Linear)]
    fitting = [each for each in linear if (each.out_features, each.in_features) == (classes, features)]
    return fitting[-1].weight.detach().cpu().double() if fitting else None
