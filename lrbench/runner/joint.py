"""Steps that look at all attacks on a model together: the worst case over them, and whether gradients are masked."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load, save
from torch import Tensor, nn

from lrbench.data import to_unit
from lrbench.diagnostics.masking import Budget, examine
from lrbench.leaderboard.difference_rows import difference_rows
from lrbench.leaderboard.worth import CLEAN as UNATTACKED
from lrbench.leaderboard.worth import Key, worth_rows
from lrbench.measures import Progress, proportion
from lrbench.names import fooled_by
from lrbench.runner.context import Context, Outcome, seeded_for
from lrbench.runner.fooled import fooled, is_minimal, wrong_before
from lrbench.runner.found import OUTCOMES
from lrbench.runner.step import Step
from lrbench.runner.taken import interval_column, stopping_of, taken_in
from lrbench.runner.threat import bounds_of, viewed
from lrbench.statistics import difference_of, on_the_same_images
from lrbench.store import Row
from lrbench.verdicts import VERDICTS

WORST = "worst-case"
CLEAN = -1
"""In `by`: misclassified before any attack. -2: by no attack."""


def worst_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Count the images that some attack in the threat model fooled the network with, at a radius or a smaller one.

    A row for each radius, and for each attack its share of the images that it was the first, in the suite's order and
    from the smallest radius up, to fool. Of an attack that looks for the smallest perturbation, also the share that it
    fooled within each radius; of all, what each was worth beside the others. Where nothing but noise ran there is no
    worst case. Where figures decided how many images were attacked, also the share of these that were misclassified
    before. The files hold, for each radius that has one, by its name, which attack (by its index in the step's labels)
    fooled each image first.
    """
    threat = context.suite.threat_model
    rows: list[Row] = []
    first = np.where(wrong_before(context, step.model, step.seed), CLEAN, -2)
    by = interval_column(threat, len(context.data.test))
    if by and (attacked := _attacked(context, step)) is not None:
        first, wrong = first[:attacked], float((first[:attacked] == CLEAN).mean())
        rows.append(proportion("misclassification", wrong, attacked, eps=0.0, space=threat.space, **by))
    under: dict[Key, np.ndarray] = {UNATTACKED: first == CLEAN}
    outcomes: dict[str, np.ndarray] = {}
    ran = False
    for eps in threat.eps:
        columns = {"eps": eps, "space": threat.space}
        for index, label in enumerate(step.labels):
            spec = next(attack for attack in context.suite.attacks if attack.label == label)
            found = fooled(context, step, spec, eps)
            if found is not None:
                ran, under[label, eps] = True, found
                first = np.where((first == -2) & found, index, first)
            if found is not None and is_minimal(spec):
                share = float(found.mean())
                rows.append(proportion("misclassification", share, len(found), attack=label, **columns, **by))
        if not ran:
            continue
        n = len(first)
        rows.append(proportion("misclassification", float((first > -2).mean()), n, attack=WORST, **columns, **by))
        for index, label in enumerate(step.labels):
            share = float((first == index).mean())
            if share:
                rows.append({"metric": "first_to_fool", "value": share, "n": n, "attack": label, **columns})
        outcomes[fooled_by(eps)] = first
    rows += worth_rows(under, step.labels, threat.space)
    progress(1.0, "")
    return Outcome(rows, {OUTCOMES: save(outcomes)})


def _attacked(context: Context, step: Step) -> int | None:
    """Count the images that were attacked; None if none were, but with noise."""
    threat = context.suite.threat_model
    found = (fooled(context, step, spec, eps) for spec in context.suite.attacks for eps in threat.eps)
    return next((len(each) for each in found if each is not None), None)


def difference_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Hold a model's worst case against the first model's on the same images, over all seeds, at every radius.

    Of robust accuracy: positive where the model withstands more than the first one. A row over all seeds names none.
    """
    threat = context.suite.threat_model
    stopping, seeds = stopping_of(threat, len(context.data.test)), len(step.needs) // 2
    own, other = step.needs[:seeds], step.needs[seeds:]
    rows: list[Row] = []
    for eps in threat.eps:
        first, second = (_withstood(context, each, eps) for each in (own, other))
        if first and second:
            found = difference_of(*on_the_same_images(first, second), stopping)
            rows += difference_rows(found, eps, threat.space)
    progress(1.0, "")
    return Outcome(rows)


def _withstood(context: Context, worst: Sequence[str], eps: float) -> list[np.ndarray]:
    """Which images no attack fooled at a radius, an array a seed, by steps of kind `worst`; empty if none ran."""
    found, name = [load(context.file(needed, OUTCOMES)) for needed in worst], fooled_by(eps)
    return [np.equal(each[name], -2) for each in found] if all(name in each for each in found) else []


def masking_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Ask all checks for masked gradients about a model; keep what each found."""
    spec = context.suite.diagnostics.masking
    assert spec  # noqa: S101
    threat = context.suite.threat_model
    eps: float = step.config["eps"]
    count: int = step.config["samples"]
    chosen, rows = _examined(context, count)
    split = context.data.test[chosen]
    model: nn.Module = context.trained(step)
    space = viewed(model, threat, context.data)
    x = to_unit(split.pixels)
    with seeded_for(context, step, step.seed):
        verdict = examine(
            model if space is None else space,
            x if space is None else space.encode(x),
            split.labels,
            eps,
            norm=threat.norm,
            bounds=bounds_of(threat),
            budget=Budget(spec.steps, spec.queries, spec.draws, spec.unbounded, threat.batch_size),
            seed=step.seed,
            transfers=_transfers(context, step, eps, rows),
            claimed=_claimed(context, step, eps, rows),
            progress=progress,
        )
    figures: list[Row] = [{"metric": "verdict", "value": VERDICTS.index(verdict.name), "n": count}]
    for finding in verdict.findings:
        figures.append({"metric": "check", "check": finding.check.id, "value": finding.figure, "n": count})
        figures.append({"metric": "flag", "check": finding.check.id, "value": float(finding.flagged), "n": count})
    content = {
        "verdict": verdict.name,
        "eps": eps,
        "checks": [_described(finding) for finding in verdict.findings],
    }
    return Outcome(figures, {"masking.json": (json.dumps(content, indent=1) + "\n").encode()})


def _examined(context: Context, count: int) -> tuple[Tensor, Tensor]:
    """Give indices of the test images that the checks look at, and which of those that were attacked they are."""
    test, threat = context.data.test, context.suite.threat_model
    if threat.until is not None:
        return taken_in(test, threat)[:count], torch.arange(count, device=test.labels.device)
    chosen = test.chosen(count)
    return chosen, torch.isin(test.chosen(threat.most(len(test))), chosen)


def _described(finding: Any) -> dict[str, Any]:  # noqa: ANN401
    check = finding.check
    figure = None if finding.figure != finding.figure else finding.figure
    return {
        "id": check.id,
        "flagged": finding.flagged,
        "figure": figure,
        "severity": check.severity,
        "condition": check.condition,
        "explanation": check.explanation,
        "advice": check.advice,
    }


def _transfers(context: Context, step: Step, eps: float, rows: Tensor) -> list[Tensor]:
    """Whom each transfer attack of the suite fooled among the images that are examined."""
    found = []
    for spec in context.suite.attacks:
        each = fooled(context, step, spec, eps) if spec.surrogate not in {None, step.model} else None
        if each is not None:
            found.append(torch.from_numpy(each).to(rows.device)[rows])
    return found


def _claimed(context: Context, step: Step, eps: float, rows: Tensor) -> Tensor | None:
    """Which of the images that are examined the suite's attacks fooled at this radius or a smaller one.

    None where nothing was attacked at this very radius: there is no figure to be believed or not.
    """
    threat = context.suite.threat_model
    if not any(eps in spec.radii(threat.eps) for spec in context.suite.attacks):
        return None
    found = [
        each
        for spec in context.suite.attacks
        for radius in threat.eps
        if radius <= eps and (each := fooled(context, step, spec, radius)) is not None
    ]
    return torch.from_numpy(np.any(found, axis=0)).to(rows.device)[rows] if found else None
