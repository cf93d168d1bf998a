"""Steps that measure a trained model: accuracy, variance ratios, embeddings."""

from lrbench.diagnostics import activations, class_variance_ratios, embedding_accuracies, evaluate, variance_ratio
from lrbench.leaderboard import wilson
from lrbench.runner.context import Context, Outcome, Progress, lr_bias
from lrbench.runner.plan import Step
from lrbench.store import Row


def proportion(metric: str, value: float, n: int, **columns: object) -> Row:
    """Give a row for a proportion of n images, with its 95 % Wilson interval."""
    low, high = wilson(value, n)
    return {"metric": metric, "value": value, "ci_low": low, "ci_high": high, "n": n, **columns}


def accuracy_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy on all test images, and misclassification before any attack on those to be attacked."""
    model = context.trained(step)
    correct = evaluate(model, context.data.test) == context.data.test.labels
    attacked = context.data.test.balanced(context.suite.threat_model.samples)
    wrong = evaluate(model, attacked) != attacked.labels
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
        ]
    )


def variance_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """VR_k of the training activations at each layer, and class-wise VR_1; b of an LR-Layer is applied first."""
    spec = context.suite.diagnostics.variance_ratio
    assert spec is not None  # noqa: S101
    model = context.trained(step)
    split = context.data.train
    rows: list[Row] = []
    collected = activations(model, split, list(dict.fromkeys(spec.layers)))
    for index, (layer, matrix) in enumerate(collected.items()):
        shifted = matrix + lr_bias(model, layer)
        ratios = variance_ratio(shifted, spec.k)
        rows += [
            {"metric": f"vr_{k}", "value": ratio, "layer": layer, "n": len(shifted)}
            for k, ratio in zip(spec.k, ratios, strict=True)
        ]
        if spec.class_wise:
            labels = split.labels.cpu()
            by_class = class_variance_ratios(shifted, labels)
            rows += [
                {
                    "metric": f"vr_1[{context.data.classes[label]}]",
                    "value": ratio,
                    "layer": layer,
                    "n": int((labels == label).sum()),
                }
                for label, ratio in by_class.items()
            ]
        progress((index + 1) / len(collected), layer)
    return Outcome(rows)


def embeddings_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy of a max-margin linear classifier on PCA embeddings of a layer."""
    spec = context.suite.diagnostics.embeddings
    assert spec is not None  # noqa: S101
    model = context.trained(step)
    train, test = context.data.train, context.data.test
    embedded = {
        part: (activations(model, split, [spec.layer])[spec.layer], split.labels)
        for part, split in (("train", train), ("test", test))
    }
    progress(0.5, spec.layer)
    accuracies = embedding_accuracies(embedded["train"], embedded["test"], spec.dims, step.seed)
    rows = [
        proportion(f"embedding_accuracy_{dim}", accuracy, len(test), layer=spec.layer)
        for dim, accuracy in accuracies.items()
    ]
    return Outcome(rows)
