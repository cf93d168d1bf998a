"""Tables of what representations are like, and of whatever else was measured beside attacks."""

from collections.abc import Iterator, Mapping
from typing import Any

from lrbench.catalogue import MEASURES
from lrbench.leaderboard.cells import Block, Column, Form, Maker
from lrbench.measures import Metric
from lrbench.measures.registry import measure_of, metric_of


def variance(make: Maker, spec: dict[str, Any]) -> list[Column]:
    """Give what the summary shows of variance ratios: one k at each layer."""
    return [
        make(f"vr_{k}[{layer}]", f"VR_{k} {layer}", "number", metric=f"vr_{k}", layer=layer)
        for layer in spec["layers"]
        for k in _telling(spec["k"])
    ]


def _telling(ks: list[int]) -> list[int]:
    """Choose the k to show: 10, the number of classes of the usual data sets, if it was asked for."""
    return [10] if 10 in ks else ks[-1:]


def embedding(make: Maker, layer: str, dim: int | str) -> Column:
    """Give the accuracy of a linear classifier in so many dimensions of a layer."""
    metric = f"embedding_accuracy_{dim}"
    where = "all" if dim == "full" else dim
    return make(f"{metric}[{layer}]", f"accuracy {layer} in {where} dims", "percent", metric=metric, layer=layer)


def representation_blocks(make: Maker, suite: dict[str, Any]) -> Iterator[Block]:
    """Give the tables of what was measured beside attacks."""
    diagnostics = suite["diagnostics"]
    if spec := diagnostics.get("variance_ratio"):
        for layer in spec["layers"]:
            yield Block(f"Activations of {layer}", _spectrum(make, layer, spec["k"]))
    if spec := diagnostics.get("embeddings"):
        columns = [embedding(make, spec["layer"], dim) for dim in spec["dims"]]
        yield Block("Linear classifier on PCA embeddings", columns)
    if spec := diagnostics.get("corruptions"):
        severities = ", ".join(str(severity) for severity in spec["severities"])
        yield Block(f"Accuracy under common corruptions, severities {severities}", _corruptions(make, spec))
    if spec := diagnostics.get("transfer"):
        columns = [
            make(f"transfer_{kind}", f"{kind} labels", "percent", metric=f"transfer_{kind}")
            for kind in ("coarse", "fine")
        ]
        yield Block(f"Linear classifier on {spec['layer']}, trained on coarse labels", columns)
    if spec := diagnostics.get("compression"):
        title = f"Everything behind {spec['layer']} replaced by {spec['dim']} dimensions and a linear classifier"
        yield Block(title, _compression(make))
    known = {entry.name for entry in MEASURES}
    for name, spec in diagnostics.items():
        if spec is not None and name in known and (figures := measure_of(name).figures):
            yield Block(name.replace("_", " ").capitalize(), list(_own_table(make, name, figures)))


def _own_table(make: Maker, name: str, figures: Mapping[str, Metric]) -> Iterator[Column]:
    """Give a column for each figure of a measure, at each layer that it was taken at."""
    for figure, shown in figures.items():
        metric = metric_of(name, figure)
        for layer in make.layers(metric):
            key, at = (f"{metric}[{layer}]", f" {layer}") if layer else (metric, "")
            yield make(key, shown.heading + at, shown.form, metric=metric, layer=layer)


def _corruptions(make: Maker, spec: dict[str, Any]) -> list[Column]:
    metric = "corruption_accuracy"
    columns = [make(metric, "mean", "percent", metric=metric)]
    for family in spec["families"]:
        for severity in spec["severities"]:
            name = f"{metric}[{family},{severity}]"
            columns.append(make(name, f"{family.replace('_', ' ')} {severity}", "percent", metric=name))
    return columns


def _spectrum(make: Maker, layer: str, ks: list[int]) -> list[Column]:
    metrics = {f"vr_{k}": f"VR_{k}" for k in ks}
    metrics |= {f"centred_vr_{k}": f"centred VR_{k}" for k in _telling(ks)}
    metrics["vr_1_class_mean"] = "VR_1, mean over classes"
    metrics["stable_rank"], metrics["effective_rank"] = "stable rank", "effective rank"
    return [
        make(f"{metric}[{layer}]", heading, "number", metric=metric, layer=layer) for metric, heading in metrics.items()
    ]


def _compression(make: Maker) -> list[Column]:
    figures: list[tuple[str, str, Form]] = [
        ("parameters", "parameters", "count"),
        ("multiply_adds", "multiply-adds", "count"),
        ("seconds_per_image", "ms an image", "milliseconds"),
        ("seconds_per_image_beside_others", "ms an image beside other jobs", "milliseconds"),
        ("compression_accuracy", "accuracy", "percent"),
    ]
    columns = [
        make(f"{metric}[{kind}]", f"{heading}, {kind}", form, metric=f"{metric}[{kind}]")
        for metric, heading, form in figures
        for kind in ("full", "compressed")
    ]
    return [column for column in columns if column.cells or not column.key.startswith("seconds")]
