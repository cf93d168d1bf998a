"""Steps of measures that are taken of what a suite claims."""

from collections.abc import Iterator
from typing import Any

from lrbench.catalogue import ATTACKS, MEASURES
from lrbench.data import ImageData
from lrbench.measures import Measure
from lrbench.measures.registry import measure_of
from lrbench.names import model_path
from lrbench.runner.code import dependencies
from lrbench.runner.configs import LOW_RANK, deterministic
from lrbench.runner.step import Step, Trainings
from lrbench.strict import KeyPath
from lrbench.suite import AttackSpec, Suite


def claims_of(suite: Suite, data: ImageData, model: str) -> list[dict[str, Any]]:
    """Give what is claimed of a model, as measures are handed it."""
    threat = suite.threat_model
    space = {
        "norm": threat.norm,
        "space": threat.space,
        "statistics": data.statistics if threat.space == "normalized" else None,
    }
    return [
        {
            "attack": claim.attack.name,
            "options": claim.attack.options,
            "eps": claim.eps,
            "robust_accuracy": claim.robust_accuracy,
            "source": claim.source,
            **space,
        }
        for claim in suite.claims
        if claim.model == model
    ]


def attacks_of(suite: Suite) -> Iterator[tuple[KeyPath, AttackSpec, float]]:
    """Give every attack that a suite names, of claims too: where it stands, and a radius that it runs at."""
    for index, attack in enumerate(suite.attacks):
        yield ("attacks", index), attack, suite.threat_model.eps[0]
    for index, claim in enumerate(suite.claims):
        yield ("claims", index, "attack"), claim.attack, claim.eps


def claim_steps(
    suite: Suite, data: ImageData, prints: dict[str, str], trainings: Trainings, training: Step
) -> Iterator[Step]:
    """Give the steps that measure what is claimed of a trained model."""
    name, seed = training.model, training.seed
    claims = claims_of(suite, data, name)
    for kind, options in suite.diagnostics.measures.items():
        measure = measure_of(kind)
        if not claims or not isinstance(measure, Measure) or not measure.of_claims:
            continue
        # What has no gradients cannot be attacked for another.
        able = [each for each in suite.models if each != name and "gradients" not in (suite.models[each].lacks or [])]
        others = [trainings[other, seed] for other in able[: measure.beside(options)]]
        models = [name, *(other.model for other in others)]
        entries = [MEASURES[kind], *(ATTACKS[claim["attack"]] for claim in claims)]
        without = () if any(suite.models[each].lr_layers for each in models) else (LOW_RANK,)
        config = {
            **options.model_dump(mode="json"),
            "claims": claims,
            "deterministic": deterministic(suite, *models),
            "data": {"test": prints["test"]},
            "seed": seed,
            **dependencies(kind, entries=entries, without=without).config,
            "train": training.key,
            "others": [other.key for other in others],
        }
        needs = tuple(step.id for step in (training, *others))
        work = len(claims) * measure.passes(options, len(data.train), len(data.test))
        yield Step(f"{kind}/{model_path(name, seed)}", kind, name, seed, config, needs, work)


def of_claims(kind: str) -> bool:
    """Whether a measure is taken of claims."""
    measure = measure_of(kind)
    return isinstance(measure, Measure) and measure.of_claims


def without_claims(suite: Suite) -> Iterator[tuple[KeyPath, str]]:
    """Say what is asked of claims where there are none: the key, and why."""
    for kind in suite.diagnostics.measures if not suite.claims else ():
        if of_claims(kind):
            yield ("diagnostics", kind), "is of `claims`, and the suite states none"
