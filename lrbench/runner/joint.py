"""Steps that look at all attacks on a model together: the worst case over them, and whether gradients are masked."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load, save
from torch import Tensor, nn

from lrbench.catalogue import ATTACKS
from lrbench.data import to_unit
from lrbench.diagnostics.masking import Budget, examine
from lrbench.leaderboard.difference_rows import difference_rows
from lrbench.leaderboard.worth import CLEAN as UNATTACKED
from lrbench.leaderboard.worth import Key, worth_rows
from lrbench.measures import Progress, proportion
from lrbench.names import attack_id, fooled_by, model_path
from lrbench.runner.context import Context, Outcome, seeded_for
from lrbench.runner.step import Step
from lrbench.runner.threat import bounds_of, kind_of, viewed
from lrbench.statistics import difference_of
from lrbench.store import Row
from lrbench.suite import AttackSpec
from lrbench.verdicts import VERDICTS

WORST = "worst-case"
CLEAN = -1
"""In `by`: misclassified before any attack. -2: by no attack."""


def worst_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Count the images that some attack in the threat model fooled the network with, at a radius or a smaller one.

    A row for each radius, and for each attack its share of the images that it was the first, in the suite's order and
    from the smallest radius up, to fool. Of an attack that looks for the smallest perturbation, also the share that it
    fooled within each radius; of all, what each was worth beside the others. Where nothing but noise ran there is no
    worst case. The files hold, for each radius that has one, by its name, which attack (by its index in the step's
    labels) fooled each image first.
    """
    threat = context.suite.threat_model
    wrong: dict[Key, np.ndarray] = {UNATTACKED: _clean_wrong(context, step)}
    first = np.where(wrong[UNATTACKED], CLEAN, -2)
    rows: list[Row] = []
    outcomes: dict[str, np.ndarray] = {}
    ran = False
    for eps in threat.eps:
        columns = {"eps": eps, "space": threat.space}
        for index, label in enumerate(step.labels):
            spec = next(attack for attack in context.suite.attacks if attack.label == label)
            fooled = _fooled(context, step, spec, eps)
            if fooled is not None:
                ran, wrong[label, eps] = True, fooled
                first = np.where((first == -2) & fooled, index, first)
            if fooled is not None and _is_minimal(spec):
                share = float(fooled.mean())
                rows.append(proportion("misclassification", share, len(fooled), attack=label, **columns))
        if not ran:
            continue
        n = len(first)
        rows.append(proportion("misclassification", float((first > -2).mean()), n, attack=WORST, **columns))
        for index, label in enumerate(step.labels):
            share = float((first == index).mean())
            if share:
                rows.append({"metric": "first_to_fool", "value": share, "n": n, "attack": label, **columns})
        outcomes[fooled_by(eps)] = first
    rows += worth_rows(wrong, step.labels, threat.space)
    progress(1.0, "")
    return Outcome(rows, {"outcomes.safetensors": save(outcomes)})


def _clean_wrong(context: Context, step: Step) -> np.ndarray:
    outcomes = load(context.file(f"accuracy/{model_path(step.model, step.seed)}", "outcomes.safetensors"))
    wrong: np.ndarray = outcomes["predicted"] != outcomes["label"]
    return wrong


def _fooled(context: Context, step: Step, spec: AttackSpec, eps: float) -> np.ndarray | None:
    """Whom an attack fooled at a radius; None if it did not run there or is outside the threat model."""
    minimal = _is_minimal(spec)
    needed = attack_id(step.model, step.seed, spec.label, None if minimal else eps)
    if needed not in step.needs or kind_of(ATTACKS[spec.name].load()) == "noise":
        return None
    outcomes = load(context.file(needed, "outcomes.safetensors"))
    if minimal:
        within: np.ndarray = outcomes[context.suite.threat_model.norm] <= eps
        return within
    wrong: np.ndarray = outcomes["predicted"] != outcomes["label"]
    return wrong


def _is_minimal(spec: AttackSpec) -> bool:
    return kind_of(ATTACKS[spec.name].load()) == "minimal"


def difference_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Hold a model's worst case against the first model's on the same images, over all seeds, at every radius.

    Of robust accuracy: positive where the model withstands more than the first one. A row over all seeds names none.
    """
    threat = context.suite.threat_model
    seeds = len(step.needs) // 2
    own, other = step.needs[:seeds], step.needs[seeds:]
    rows: list[Row] = []
    for eps in threat.eps:
        sides = [_withstood(context, each, eps) for each in (own, other)]
        if all(side is not None for side in sides):
            rows += difference_rows(difference_of(*sides), eps, threat.space)  # type: ignore[arg-type]
    progress(1.0, "")
    return Outcome(rows)


def _withstood(context: Context, worst: Sequence[str], eps: float) -> np.ndarray | None:
    """Which images no attack fooled at a radius, (seeds, images) bool, by steps of kind `worst`; None if none ran."""
    found = [load(context.file(needed, "outcomes.safetensors")).get(fooled_by(eps)) for needed in worst]
    return None if any(each is None for each in found) else np.stack([each == -2 for each in found])


def masking_step(context: Context, step: Step, progress: Progress) -> Outcome:
    """Ask all checks for masked gradients about a model; keep what each found."""
    spec = context.suite.diagnostics.masking
    assert spec  # noqa: S101
    threat = context.suite.threat_model
    eps: float = step.config["eps"]
    count: int = step.config["samples"]
    attacked = context.data.test.chosen(threat.samples)
    chosen = context.data.test.chosen(count)
    rows = torch.isin(attacked, chosen)
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
        fooled = _fooled(context, step, spec, eps) if spec.surrogate not in {None, step.model} else None
        if fooled is not None:
            found.append(torch.from_numpy(fooled).to(rows.device)[rows])
    return found


def _claimed(context: Context, step: Step, eps: float, rows: Tensor) -> Tensor | None:
    """Which of the images that are examined the suite's attacks fooled at this radius or a smaller one.

    None where nothing was attacked at this very radius: there is no figure to be believed or not.
    """
    threat = context.suite.threat_model
    if not any(eps in spec.radii(threat.eps) for spec in context.suite.attacks):
        return None
    found = [
        fooled
        for spec in context.suite.attacks
        for radius in threat.eps
        if radius <= eps and (fooled := _fooled(context, step, spec, radius)) is not None
    ]
    return torch.from_numpy(np.any(found, axis=0)).to(rows.device)[rows] if found else None
