"""Steps that use a trained model's representation: embeddings, transfer, compression, clusters."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors.torch import save
from torch import nn

from lrbench.data import to_unit
from lrbench.diagnostics import (
    Held,
    activations,
    compressed,
    cost,
    embed,
    embedding_accuracies,
    evaluate,
    held,
    principal,
)
from lrbench.runner.context import Context, Outcome, Progress
from lrbench.runner.measure import proportion
from lrbench.runner.plan import Step


def embeddings_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy of a max-margin linear classifier on PCA embeddings of a layer."""
    spec = context.suite.diagnostics.embeddings
    assert spec is not None  # noqa: S101
    train, test = context.data.train, context.data.test
    with _both(context, context.trained(step), spec.layer) as (x_train, x_test):
        progress(0.5, spec.layer)
        pairs = (x_train.matrix, x_train.of(train.labels)), (x_test.matrix, x_test.of(test.labels))
        accuracies = embedding_accuracies(*pairs, spec.dims, step.seed)
    rows = [
        proportion(f"embedding_accuracy_{dim}", accuracy, len(test), layer=spec.layer)
        for dim, accuracy in accuracies.items()
    ]
    return Outcome(rows)


def transfer_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy of a linear classifier on a layer's activations, for the coarse labels and for the fine ones."""
    spec = context.suite.diagnostics.transfer
    assert spec is not None  # noqa: S101
    train, test = context.data.train, context.data.test
    assert train.fine is not None  # noqa: S101
    assert test.fine is not None  # noqa: S101
    rows = []
    kinds = (("coarse", train.labels, test.labels), ("fine", train.fine, test.fine))
    with _both(context, context.trained(step), spec.layer) as (x_train, x_test):
        for index, (kind, y_train, y_test) in enumerate(kinds):
            pairs = (x_train.matrix, x_train.of(y_train)), (x_test.matrix, x_test.of(y_test))
            accuracy = embedding_accuracies(*pairs, ["full"], step.seed)["full"]
            rows.append(proportion(f"transfer_{kind}", accuracy, len(test), layer=spec.layer))
            progress((index + 1) / 2, kind)
    return Outcome(rows)


def compression_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Replace everything behind a layer; parameters, multiply-adds, time and accuracy before and after."""
    spec = context.suite.diagnostics.compression
    assert spec is not None  # noqa: S101
    model = context.trained(step)
    train, test = context.data.train, context.data.test
    with held(model, train, [spec.layer]) as collected:
        progress(0.4, spec.layer)
        layer = collected[spec.layer]
        small = compressed(model, spec.layer, (layer.matrix, layer.of(train.labels)), spec.dim, step.seed)
    progress(0.7, "measuring")
    images = to_unit(test[: spec.batch_size].pixels)
    # What others do on the machine meanwhile slows it down, so that such a time is told apart.
    seconds = "seconds_per_image" if context.jobs == 1 else "seconds_per_image_beside_others"
    rows = []
    for kind, network in (("full", model), ("compressed", small)):
        price = cost(network, images)
        correct = (evaluate(network, test) == test.labels).double().mean().item()
        columns = {"layer": spec.layer}
        rows += [
            proportion(f"compression_accuracy[{kind}]", correct, len(test), **columns),
            {"metric": f"parameters[{kind}]", "value": float(price.parameters), **columns},
            {"metric": f"multiply_adds[{kind}]", "value": float(price.multiply_adds), **columns},
            {"metric": f"{seconds}[{kind}]", "value": price.seconds, "n": len(images), **columns},
        ]
    return Outcome(rows)


def clusters_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """First two principal components of a layer's test activations, for a picture."""
    spec = context.suite.diagnostics.clusters
    assert spec is not None  # noqa: S101
    split = context.data.test.balanced(min(spec.samples, len(context.data.test)))
    matrix = activations(context.trained(step), split, [spec.layer])[spec.layer]
    found = principal(matrix, 2, center=True, seed=step.seed)
    progress(1.0, spec.layer)
    points = torch.from_numpy(embed(found, matrix))
    share = [float(square) / found.total for square in found.squares]
    rows = [
        {"metric": f"pca_share_{index}", "value": value, "layer": spec.layer, "n": len(split)}
        for index, value in enumerate(share, 1)
    ]
    return Outcome(rows, {"clusters.safetensors": save({"points": points, "label": split.labels.cpu()})})


@contextmanager
def _both(context: Context, model: nn.Module, layer: str) -> Iterator[tuple[Held, Held]]:
    """Activations of the training and of the test images."""
    with held(model, context.data.train, [layer]) as train, held(model, context.data.test, [layer]) as test:
        yield train[layer], test[layer]
