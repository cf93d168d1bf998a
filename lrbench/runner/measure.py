"""Steps that measure a trained model: accuracy, variance ratios and ranks."""

from collections.abc import Iterator
from dataclasses import replace

from safetensors.torch import save
from torch import Tensor

from lrbench.data import Split
from lrbench.data.images import balanced_indices
from lrbench.diagnostics import (
    class_variance_ratios,
    effective_rank,
    evaluate,
    held,
    principal,
    stable_rank,
    variance_ratio,
)
from lrbench.diagnostics.blocks import Matrix
from lrbench.diagnostics.corruptions import corrupted
from lrbench.leaderboard import wilson
from lrbench.runner.context import Context, Outcome, Progress, lr_bias
from lrbench.runner.plan import Step
from lrbench.store import Row
from lrbench.suite.measures import VarianceRatio

EFFECTIVE_RANK_LIMIT = 2048
"""Effective rank needs the whole spectrum; beyond this smaller side it is that of so many examples."""

CORRUPTED_BYTES = 2**30
"""Of corrupted images kept from one model to the next, in the machine's memory and not on the device."""


def proportion(metric: str, value: float, n: int, **columns: object) -> Row:
    """Give a row for a proportion of n images, with its 95 % Wilson interval."""
    low, high = wilson(value, n)
    return {"metric": metric, "value": value, "ci_low": low, "ci_high": high, "n": n, **columns}


def accuracy_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy on all test images, and misclassification before any attack on those to be attacked."""
    model = context.trained(step)
    correct = evaluate(model, context.data.test) == context.data.test.labels
    attacked = context.data.test.balanced(context.suite.threat_model.samples)
    predicted = evaluate(model, attacked)
    wrong = predicted != attacked.labels
    progress(1.0, "")
    return Outcome(
        [
            proportion("accuracy", correct.double().mean().item(), len(correct)),
            proportion(
                "misclassification",
                wrong.double().mean().item(),
                len(wrong),
                eps=0.0,
                space=context.suite.threat_model.space,
            ),
        ],
        {"outcomes.safetensors": save({"predicted": predicted.cpu(), "label": attacked.labels.cpu()})},
    )


def corruptions_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy under each family of common corruptions at each severity."""
    spec = context.suite.diagnostics.corruptions
    assert spec is not None  # noqa: S101
    model = context.trained(step)
    split = context.data.test.balanced(spec.samples)
    rows: list[Row] = []
    for place, family in enumerate(spec.families):
        progress(place / len(spec.families), family)
        for severity in spec.severities:
            noisy = replace(split, images=_corrupted(context, split, family, severity).to(context.device))
            right = (evaluate(model, noisy) == split.labels).double().mean().item()
            rows.append(proportion(f"corruption_accuracy[{family},{severity}]", right, len(split)))
    mean = sum(float(row["value"]) for row in rows) / len(rows)
    rows.append({"metric": "corruption_accuracy", "value": mean, "n": len(split)})
    return Outcome(rows)


def _corrupted(context: Context, split: Split, family: str, severity: int) -> Tensor:
    """Give the images that every model sees, off the device; kept for the next model while memory is set aside."""
    images = context.corrupted.get((family, severity))
    if images is None:
        images = corrupted(split.pixels.cpu(), family, severity)
        kept = sum(each.numel() for each in context.corrupted.values())
        if kept + images.numel() <= CORRUPTED_BYTES:
            context.corrupted[family, severity] = images
    return images


def variance_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """VR_k of the training activations at each layer, class-wise VR_1, and ranks; b of an LR-Layer is applied first."""
    spec = context.suite.diagnostics.variance_ratio
    assert spec is not None  # noqa: S101
    model = context.trained(step)
    split = context.data.train
    rows: list[Row] = []
    layers = list(dict.fromkeys(spec.layers))
    with held(model, split, layers, {layer: lr_bias(model, layer) for layer in layers}) as collected:
        for index, layer in enumerate(layers):
            shifted = collected.pop(layer)  # its memory is free before the next layer is looked at
            labels = shifted.of(split.labels)
            rows += [{**row, "layer": layer} for row in _variance_rows(context, shifted.matrix, labels, spec)]
            progress((index + 1) / len(spec.layers), layer)
    return Outcome(rows)


def _centred_ratios(matrix: Matrix, ks: list[int]) -> list[float]:
    """VR_k of the rows minus their mean: the explained variance of PCA."""
    found = principal(matrix, max(ks), center=True)
    shares = (found.squares.cumsum(0) / found.total).clamp_max(1)
    return [shares[min(k, len(shares)) - 1].item() for k in ks]


def _variance_rows(context: Context, shifted: Matrix, labels: Tensor, spec: VarianceRatio) -> Iterator[Row]:
    curve = range(1, min(spec.curve, *shifted.shape) + 1)
    ks = sorted({*spec.k, *curve})
    n = shifted.shape[0]
    for k, ratio in zip(ks, variance_ratio(shifted, ks), strict=True):
        yield {"metric": f"vr_{k}", "value": ratio, "n": n}
    # b moves the origin of an LR model's activations and of no other's; about their mean all are measured alike.
    for k, ratio in zip(spec.k, _centred_ratios(shifted, spec.k), strict=True):
        yield {"metric": f"centred_vr_{k}", "value": ratio, "n": n}
    yield {"metric": "stable_rank", "value": stable_rank(shifted), "n": n}
    sample = shifted
    if min(shifted.shape) > EFFECTIVE_RANK_LIMIT:
        chosen = balanced_indices(labels, EFFECTIVE_RANK_LIMIT)
        sample = shifted[chosen] if isinstance(shifted, Tensor) else shifted.picked(chosen)
    yield {"metric": "effective_rank", "value": effective_rank(sample), "n": sample.shape[0]}
    if spec.class_wise:
        by_class = class_variance_ratios(shifted, labels)
        yield {"metric": "vr_1_class_mean", "value": sum(by_class.values()) / len(by_class), "n": n}
        for label, ratio in by_class.items():
            name = context.data.classes[label]
            yield {"metric": f"vr_1[{name}]", "value": ratio, "n": int((labels == label).sum())}
