"""Steps that use a trained model's representation: embeddings, transfer, compression, clusters."""

import torch
from safetensors.torch import save
from torch import Tensor, nn

from lrbench.data import Split, to_unit
from lrbench.diagnostics import activations, compressed, cost, embed, embedding_accuracies, evaluate, principal
from lrbench.runner.context import Context, Outcome, Progress
from lrbench.runner.measure import proportion
from lrbench.runner.plan import Step


def embeddings_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy of a max-margin linear classifier on PCA embeddings of a layer."""
    spec = context.suite.diagnostics.embeddings
    assert spec is not None  # noqa: S101
    (x_train, train), (x_test, test) = _both(context, context.trained(step), spec.layer)
    progress(0.5, spec.layer)
    accuracies = embedding_accuracies((x_train, train.labels), (x_test, test.labels), spec.dims, step.seed)
    rows = [
        proportion(f"embedding_accuracy_{dim}", accuracy, len(test), layer=spec.layer)
        for dim, accuracy in accuracies.items()
    ]
    return Outcome(rows)


def transfer_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy of a linear classifier on a layer's activations, for the coarse labels and for the fine ones."""
    spec = context.suite.diagnostics.transfer
    assert spec is not None  # noqa: S101
    (x_train, train), (x_test, test) = _both(context, context.trained(step), spec.layer)
    assert train.fine is not None  # noqa: S101
    assert test.fine is not None  # noqa: S101
    rows = []
    for index, (kind, y_train, y_test) in enumerate(
        (("coarse", train.labels, test.labels), ("fine", train.fine, test.fine))
    ):
        accuracy = embedding_accuracies((x_train, y_train), (x_test, y_test), ["full"], step.seed)["full"]
        rows.append(proportion(f"transfer_{kind}", accuracy, len(test), layer=spec.layer))
        progress((index + 1) / 2, kind)
    return Outcome(rows)


def compression_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Replace everything behind a layer; parameters, multiply-adds, time and accuracy before and after."""
    spec = context.suite.diagnostics.compression
    assert spec is not None  # noqa: S101
    model = context.trained(step)
    train, test = context.data.train, context.data.test
    matrix = activations(model, train, [spec.layer])[spec.layer]
    progress(0.4, spec.layer)
    small = compressed(model, spec.layer, (matrix, train.labels.cpu()), spec.dim, step.seed)
    progress(0.7, "measuring")
    images = to_unit(test[: spec.batch_size].pixels)
    rows = []
    for kind, network in (("full", model), ("compressed", small)):
        price = cost(network, images)
        correct = (evaluate(network, test) == test.labels).double().mean().item()
        columns = {"layer": spec.layer}
        rows += [
            proportion(f"compression_accuracy[{kind}]", correct, len(test), **columns),
            {"metric": f"parameters[{kind}]", "value": float(price.parameters), **columns},
            {"metric": f"multiply_adds[{kind}]", "value": float(price.multiply_adds), **columns},
            {"metric": f"seconds_per_image[{kind}]", "value": price.seconds, "n": len(images), **columns},
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


def _both(context: Context, model: nn.Module, layer: str) -> tuple[tuple[Tensor, Split], tuple[Tensor, Split]]:
    """Activations of the training and of the test images."""
    train, test = context.data.train, context.data.test
    return (activations(model, train, [layer])[layer], train), (activations(model, test, [layer])[layer], test)
