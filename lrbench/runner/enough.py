"""Looks at whether the images attacked so far are enough: whether what is asked of a model is known closely enough."""

import json
from collections.abc import Iterator

import numpy as np

from lrbench.measures import Progress
from lrbench.names import eps_digits
from lrbench.runner.context import Context, Outcome
from lrbench.runner.fooled import fooled, wrong_before
from lrbench.runner.found import ENOUGH, already_enough
from lrbench.runner.step import Step
from lrbench.runner.taken import stopping_of
from lrbench.statistics import Stopping, discordant, on_the_same_images

Interval = tuple[float, float]


def enough_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Say whether a model's images are enough, by the worst case over attacks on the first of them, over all seeds.

    They are where the intervals are as narrow as wanted at every radius: of robust accuracy, or of its difference from
    that of the suite's first model; of that one, all of these. A difference over several seeds counts as that of these
    trainings: how much others differ is another matter, which no number of images tells.
    """
    if already_enough(context.store, step):
        return Outcome([], {ENOUGH: _content({}, decided=True)}, needless=True)
    stopping = stopping_of(context.suite.threat_model, len(context.data.test))
    assert stopping  # noqa: S101
    intervals = dict(_intervals(context, step, stopping))
    # Where nothing but noise ran there is no worst case, and nothing that could be known.
    decided = bool(intervals) and all(stopping.narrow(interval) for interval in intervals.values())
    progress(1.0, "")
    return Outcome([], {ENOUGH: _content(intervals, decided=decided)})


def _content(intervals: dict[str, Interval], *, decided: bool) -> bytes:
    return (json.dumps({"enough": decided, "intervals": intervals}, indent=1) + "\n").encode()


def _intervals(context: Context, step: Step, stopping: Stopping) -> Iterator[tuple[str, Interval]]:
    """Give each interval that has to be narrow, by what it is of; none where nothing but noise ran."""
    models = list(context.suite.models)
    for eps in context.suite.threat_model.eps:
        own = _withstood(context, step, step.model, eps)
        if own is None:
            continue
        if step.config["of"] == "accuracy":
            yield eps_digits(eps), stopping.proportion(float(own.mean()), own.shape[1])
            continue
        for index in step.config["others"]:
            other = _withstood(context, step, models[index], eps)
            if other is not None:
                both = on_the_same_images(own, other)
                yield f"{eps_digits(eps)} {index}", stopping.difference(*discordant(*both), both[0].shape[1])


def _withstood(context: Context, step: Step, model: str, eps: float) -> np.ndarray | None:
    """Which of its images up to this look no attack fooled a model on at a radius, (seeds, images) bool."""
    suite, sides = context.suite, []
    for seed in suite.seeds:
        found = [
            each
            for spec in suite.attacks
            for radius in suite.threat_model.eps
            if radius <= eps and (each := fooled(context, step, spec, radius, (model, seed))) is not None
        ]
        if not found:
            return None
        sides.append(~np.any([wrong_before(context, model, seed)[: len(found[0])], *found], axis=0))
    return np.stack(sides)
