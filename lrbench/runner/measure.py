"""Steps that measure a trained model: its accuracy, and whatever measures a suite asks for."""

from functools import partial

from safetensors.torch import save

from lrbench.diagnostics import evaluate
from lrbench.measures import Measure, Progress, Subject, proportion
from lrbench.measures.checked import checked_files, checked_rows
from lrbench.measures.registry import measure_of
from lrbench.names import model_in
from lrbench.runner.claims import claims_of
from lrbench.runner.context import Context, Outcome
from lrbench.runner.step import Step
from lrbench.runner.taken import may_be_attacked


def accuracy_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Accuracy on all test images, and misclassification before any attack on those to be attacked.

    Where it is to be seen how many these are, the worst case over attacks tells of the latter.
    """
    model, threat = context.trained(step), context.suite.threat_model
    correct = evaluate(model, context.data.test) == context.data.test.labels
    attacked = may_be_attacked(context.data.test, threat)
    predicted = evaluate(model, attacked)
    wrong = predicted != attacked.labels
    progress(1.0, "")
    rows = [proportion("accuracy", correct.double().mean().item(), len(correct))]
    if threat.until is None:
        share = wrong.double().mean().item()
        rows.append(proportion("misclassification", share, len(wrong), eps=0.0, space=threat.space))
    kept = {"predicted": predicted.cpu(), "label": attacked.labels.cpu()}
    return Outcome(rows, {"outcomes.safetensors": save(kept)})


def measure_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Take the measure that the step is named after."""
    measure = measure_of(step.kind)
    assert isinstance(measure, Measure)  # noqa: S101
    subject = Subject(
        context.trained(step),
        context.data.train,
        context.data.test,
        context.data.classes,
        context.device,
        step.seed,
        alone=context.jobs == 1,
        shared=context.shared,
        claims=tuple(claims_of(context.suite, context.data, step.model)),
        others={model_in(needed): context.trained(step, at) for at, needed in enumerate(step.needs) if at},
        unfinished=context.store.unfinished(step.id, step.key),
        save=partial(context.store.save_unfinished, step.id, step.key),
    )
    taken = measure.take(context.suite.diagnostics.measures[step.kind], subject, progress)
    return Outcome(list(checked_rows(step.kind, measure, taken)), checked_files(step.kind, subject.kept))
