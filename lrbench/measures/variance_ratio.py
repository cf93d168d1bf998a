"""Variance ratios of the training activations, and ranks (paper, sections 4.2-4.3)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import Layer, Measure, Metric, Options, Progress, Row, Subject
from lrbench.strict import Count

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from lrbench.diagnostics.blocks import Matrix
    from lrbench.views import Block, Chart, Column, Shown

NOTHING = 1e-9
"""What a logarithmic scale shows as nothing left."""

EFFECTIVE_RANK_LIMIT = 2048
"""Effective rank needs the whole spectrum; beyond this smaller side it is that of so many examples."""


class VarianceRatioOptions(Options):
    """VR_k of the training activations at each layer, and class-wise VR_1 (paper, sections 4.2-4.3).

    `k` are the ones a leaderboard shows; `curve` is the largest k of the figure. Stable and effective rank come too.
    """

    layers: Annotated[list[Layer], Field(min_length=1)]
    k: Annotated[list[Count], Field(min_length=1)] = Field(default_factory=lambda: [1, 5, 10, 20])
    curve: Count = 30
    class_wise: bool = True


@named("variance_ratio")
class VarianceRatio(Measure):
    """VR_k of the training activations at each layer, class-wise VR_1, stable and effective rank."""

    Options = VarianceRatioOptions
    needs_train: ClassVar[bool] = True
    figures: ClassVar[Mapping[str, Metric]] = {
        "vr": Metric("VR_k", parameters=("k",)),
        "centred_vr": Metric("centred VR_k", parameters=("k",)),
        "class_vr_mean": Metric("VR_1, mean over classes", parameters=("k",), mean_of="class_vr"),
        "class_vr": Metric("VR_1 of a class", parameters=("k", "class")),
        "stable_rank": Metric("stable rank"),
        "effective_rank": Metric("effective rank"),
    }

    def summary(self, options: Any, shown: "Shown") -> Iterator["Column"]:
        """Give one k at each layer."""
        for layer in options.layers:
            for k in _telling(options.k):
                yield shown.column("vr", f"VR_{k} {layer}", "number", f"vr_{k}[{layer}]", layer=layer, k=k)

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give a table for each layer."""
        from lrbench.views import Block

        for layer in options.layers:
            columns = [_ratio(shown, "vr", layer, k) for k in options.k]
            columns += [_ratio(shown, "centred_vr", layer, k) for k in _telling(options.k)]
            mean = self.figures["class_vr_mean"].heading
            columns.append(shown.column("class_vr_mean", mean, "number", f"vr_1_class_mean[{layer}]", layer=layer, k=1))
            columns += [
                shown.column(rank, self.figures[rank].heading, "number", layer=layer)
                for rank in ("stable_rank", "effective_rank")
            ]
            yield Block(f"Activations of {layer}", columns)

    def notes(self, options: Any, shown: "Shown") -> Iterator[str]:
        """Say what b does."""
        yield (
            "VR_k, that of a class, stable and effective rank are of A + b with an LR-Layer's b, as in the paper. b "
            "removes the mean, which is most of a normal model's first direction: compare an LR model with a normal "
            "one by the centred VR_k alone."
        )

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw VR_k by k, and VR_1 of each class, of each layer (paper, figures 1 to 4)."""
        for layer in options.layers:
            ratios = shown.rows_of_seeds("vr", layer=layer)
            if len(ratios):
                yield _curves(shown, ratios, layer, options.curve)
            by_class = shown.rows("class_vr", layer=layer)
            if len(by_class):
                yield _classes(shown, by_class, layer)

    def passes(self, options: Any, train: int, test: int) -> float:
        """Pass the training images."""
        return 0.6 * train

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Go through the layers."""
        from lrbench.diagnostics import stored_activations
        from lrbench.lowrank import bias_at

        layers = list(dict.fromkeys(options.layers))
        shifts = {layer: bias_at(subject.model, layer) for layer in layers}
        with stored_activations(subject.model, subject.train, layers, shifts) as collected:
            for index, layer in enumerate(layers):
                shifted = collected.pop(layer)  # its memory is free before the next layer is looked at
                labels = shifted.of(subject.train.labels)
                for row in _rows(subject, shifted.matrix, labels, options):
                    yield {**row, "layer": layer}
                progress((index + 1) / len(layers), layer)


def _telling(ks: list[int]) -> list[int]:
    """Choose the k to show: 10, the number of classes of the usual data sets, if it was asked for."""
    return [10] if 10 in ks else ks[-1:]


def _ratio(shown: "Shown", figure: str, layer: str, k: int) -> "Column":
    heading = "VR" if figure == "vr" else "centred VR"
    return shown.column(figure, f"{heading}_{k}", "number", f"{figure}_{k}[{layer}]", layer=layer, k=k)


def _curves(shown: "Shown", ratios: "pd.DataFrame", layer: str, limit: int) -> "Chart":
    """VR_k against k, and what is left, 1 - VR_k, on a logarithmic scale."""
    import pandas as pd

    from lrbench.views import Axis, Chart, Panel

    ratios = ratios.assign(k=pd.to_numeric(ratios["k"]))
    by_k = ratios[ratios["k"] <= limit].groupby(["model", "k"], sort=False)["value"]
    held = by_k.agg(value="mean", low="min", high="max").reset_index().sort_values("k", kind="stable")
    left = held.assign(value=1 - held["value"], low=1 - held["high"], high=1 - held["low"])
    left[["value", "low", "high"]] = left[["value", "low", "high"]].clip(lower=NOTHING)
    x = Axis("k", "number of singular directions k", "whole")
    panels = [
        Panel(held, x, Axis("value", "variance ratio VR_k"), "line"),
        Panel(left, x, Axis("value", "leakage 1 - VR_k", scale="log"), "line"),
    ]
    caption = (
        f"Share of the variance of {layer}'s activations A + b in k directions, and what is left. An LR-Layer's b "
        "takes their mean out; a network without one has no b, and its mean counts; the band spans the seeds."
    )
    name, title = f"variance-{layer}", f"Variance of the activations of {layer}"
    return Chart(name, title, caption, panels, shown.labels, file=f"variance-ratio-{layer}")


def _classes(shown: "Shown", rows: "pd.DataFrame", layer: str) -> "Chart":
    """VR_1 of each class, by the first model's figure."""
    from lrbench.views import Axis, Chart, Panel

    first = next(model for model in shown.labels if model in set(rows["model"]))
    ranked = rows.assign(other=rows["model"] != first).sort_values(["other", "value"], ascending=[True, False])
    y = Axis("class", "class", "category", order=list(dict.fromkeys(ranked["class"])))
    panel = Panel(rows[["model", "class", "value", "n"]], Axis("value", "class-wise VR_1"), y, "points")
    caption = (
        f"Share of the variance of each class's A + b at {layer} in its first direction, mean over seeds. An LR-"
        "Layer's b takes the mean of all classes out; a network without one has no b."
    )
    name, title = f"classes-{layer}", f"First singular direction of each class, {layer}"
    return Chart(name, title, caption, [panel], shown.labels, file=f"class-variance-{layer}")


def _centred_ratios(matrix: "Matrix", ks: list[int]) -> list[float]:
    """VR_k of the rows minus their mean: the explained variance of PCA."""
    from lrbench.diagnostics import principal

    found = principal(matrix, max(ks), center=True)
    shares = (found.squares.cumsum(0) / found.total).clamp_max(1)
    return [shares[min(k, len(shares)) - 1].item() for k in ks]


def _rows(subject: Subject, shifted: "Matrix", labels: "Tensor", options: VarianceRatioOptions) -> Iterator[Row]:
    import torch

    from lrbench.data.images import balanced_indices
    from lrbench.diagnostics import class_variance_ratios, effective_rank, stable_rank, variance_ratio

    curve = range(1, min(options.curve, *shifted.shape) + 1)
    ks = sorted({*options.k, *curve})
    n = shifted.shape[0]
    for k, ratio in zip(ks, variance_ratio(shifted, ks), strict=True):
        yield {"metric": "vr", "k": k, "value": ratio, "n": n}
    # b moves the origin of an LR model's activations and of no other's; about their mean all are measured alike.
    for k, ratio in zip(options.k, _centred_ratios(shifted, options.k), strict=True):
        yield {"metric": "centred_vr", "k": k, "value": ratio, "n": n}
    yield {"metric": "stable_rank", "value": stable_rank(shifted), "n": n}
    sample = shifted
    if min(shifted.shape) > EFFECTIVE_RANK_LIMIT:
        chosen = balanced_indices(labels, EFFECTIVE_RANK_LIMIT)
        sample = shifted[chosen] if isinstance(shifted, torch.Tensor) else shifted.picked(chosen)
    yield {"metric": "effective_rank", "value": effective_rank(sample), "n": sample.shape[0]}
    if options.class_wise:
        by_class = class_variance_ratios(shifted, labels)
        yield {"metric": "class_vr_mean", "k": 1, "value": sum(by_class.values()) / len(by_class), "n": n}
        for label, ratio in by_class.items():
            columns = {"k": 1, "class": subject.classes[label], "n": int((labels == label).sum())}
            yield {"metric": "class_vr", "value": ratio, **columns}
