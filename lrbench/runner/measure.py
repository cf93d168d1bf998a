"""Steps that measure a trained model: its accuracy, and whatever measures a suite asks for."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

from safetensors.torch import save

from lrbench.diagnostics import evaluate
from lrbench.measures import Measure, Progress, Subject, proportion
from lrbench.measures.registry import measure_of
from lrbench.runner.context import Context, Outcome
from lrbench.runner.step import Step
from lrbench.store import Row

COLUMNS = {"metric", "value", "ci_low", "ci_high", "n", "layer"}
"""What a measure's rows may hold; the rest says which model, seed and data they are of."""


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


def measure_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Take the measure that the step is named after."""
    measure = measure_of(step.kind)
    subject = Subject(
        context.trained(step),
        context.data.train,
        context.data.test,
        context.data.classes,
        context.device,
        step.seed,
        alone=context.jobs == 1,
        shared=context.shared,
    )
    taken = measure.take(context.suite.diagnostics.measures[step.kind], subject, progress)
    return Outcome(list(_checked(step.kind, measure, taken)), subject.kept)


def _checked(name: str, measure: Measure, rows: Iterator[Any]) -> Iterator[Row]:
    """Pass on the rows of a measure, which may be anybody's."""
    for row in rows:
        if not isinstance(row, dict) or not {"metric", "value"} <= row.keys() <= COLUMNS:
            listed = ", ".join(sorted(COLUMNS))
            msg = f"{name} gave {row!r:.100}: a row is a mapping with metric and value, and of {listed} only"
            raise TypeError(msg)
        if measure.figures and row["metric"] not in measure.figures:
            msg = f"{name} gave {row['metric']!r:.60}, which is none of its figures: {', '.join(measure.figures)}"
            raise ValueError(msg)
        value = float(row["value"])
        if not isfinite(value):
            msg = f"{name} gave {value} as {row['metric']!r:.60}; leave out what cannot be measured"
            raise ValueError(msg)
        yield {**row, "value": value}
