"""The plan: which steps a suite takes, and what each depends on."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from lrbench.catalogue import ATTACKS
from lrbench.data import ImageData
from lrbench.errors import UsageError
from lrbench.measures import Measure
from lrbench.measures.registry import measure_of
from lrbench.names import attack_id, in_path, model_path
from lrbench.runner.claims import claim_steps
from lrbench.runner.configs import attack_config, deterministic, joint_code, measured_code
from lrbench.runner.lacking import has_layers, runs_on
from lrbench.runner.parts import Attempt, attack_steps, looks_of, parts_of_attack, steps_until_enough
from lrbench.runner.step import Step, Trainings
from lrbench.runner.threat import kind_of, passes_of
from lrbench.runner.trainings import add_training
from lrbench.suite import AttackSpec, Suite

MAX_STEPS = 50_000

Costs = dict[str, dict[float | None, float]]
"""Attack -> radius -> work an image; the radius of a search for the smallest perturbation is None."""


def make_plan(suite: Suite, data: ImageData) -> list[Step]:
    """Give the steps of a suite in order: model by model, seed by seed, training before what is measured on it.

    Raises
    ------
    UsageError
        If there are more than `MAX_STEPS`.
    """
    parts = 1 + parts_of_attack(suite, len(data.test))
    attacks = sum(parts * len(attack.radii(suite.threat_model.eps)) for attack in suite.attacks)
    if (count := len(suite.models) * len(suite.seeds) * (attacks + 1)) > MAX_STEPS:
        msg = f"{suite.name}: models, seeds, attacks and radii make {count:,} steps and more; at most {MAX_STEPS:,} go"
        raise UsageError(msg)
    prints = {"train": data.train_fingerprint, "test": data.test_fingerprint}
    trainings: Trainings = {}
    steps: dict[str, Step] = {}
    all_attempts: list[Attempt] = []
    costs = {attack.label: _costs(suite, attack) for attack in suite.attacks}
    for name, seed in product(suite.models, suite.seeds):
        add_training(trainings, suite, data, name, seed)
    for name, seed in product(suite.models, suite.seeds):
        steps |= {step.id: step for step in _model_steps(suite, data, prints, trainings[name, seed])}
        steps |= {step.id: step for step in claim_steps(suite, data, prints, trainings, trainings[name, seed])}
        attempts = list(_attempts(suite, data, trainings[name, seed], trainings, costs))
        all_attempts += attempts
        if suite.threat_model.until is None:
            steps |= {step.id: step for step in attack_steps(suite, attempts, len(data.test))}
    if suite.threat_model.until is not None:
        measured = [step for step in steps.values() if step.kind == "accuracy"]
        steps |= {step.id: step for step in steps_until_enough(suite, all_attempts, len(data.test), measured)}
    steps |= {step.id: step for step in _joint_steps(suite, data, prints, trainings, steps)}
    return _ordered(list(steps.values()))


def _ordered(steps: list[Step]) -> list[Step]:
    """Put each step as early as what it needs allows, and otherwise leave the order."""
    found: dict[str, Step] = {}
    waiting = steps
    while waiting:
        later = []
        for step in waiting:
            if all(needed in found for needed in step.needs):
                found[step.id] = step
            else:
                later.append(step)
        waiting = later
    return list(found.values())


def _costs(suite: Suite, attack: AttackSpec) -> dict[float | None, float]:
    factory, threat = ATTACKS[attack.name].load(), suite.threat_model
    radii = [None] if kind_of(factory) == "minimal" else attack.radii(threat.eps)
    return {eps: passes_of(factory, attack, threat, eps).work for eps in radii}


def _model_steps(suite: Suite, data: ImageData, prints: dict[str, str], training: Step) -> Iterator[Step]:
    yield training
    name = training.model
    threat = suite.threat_model
    content: dict[str, Any] = {
        "samples": threat.most(len(data.test)),
        "space": threat.space,
        "data": {"test": prints["test"]},
    }
    content |= {} if threat.until is None else {"order": "random"}
    yield _measured(suite, "accuracy", training, content, 0.4 * len(data.test))
    for kind, options in suite.diagnostics.measures.items():
        measure = measure_of(kind)
        fits = kind not in suite.diagnostics.of_layers or has_layers(suite, name)
        if isinstance(measure, Measure) and not measure.of_claims and fits:
            content = {**options.model_dump(mode="json"), "data": prints}
            work = measure.passes(options, len(data.train), len(data.test))
            yield _measured(suite, kind, training, content, work)


def _repeats(suite: Suite, attack: AttackSpec, name: str) -> bool:
    """Whether an attack made on this very model is one that the suite has without a surrogate, too.

    Where it is not it runs: its worst case is held against those of the others, which it did run on.
    """
    made = (attack.name, attack.options, None)
    alike = [each for each in suite.attacks if (each.name, each.options, each.surrogate) == made]
    radii = suite.threat_model.eps
    again = any(set(attack.radii(radii)) <= set(each.radii(radii)) for each in alike)
    return attack.surrogate == name and again


def _measured(suite: Suite, kind: str, training: Step, content: dict[str, Any], work: float) -> Step:
    name, seed = training.model, training.seed
    config = {**content, "seed": seed, **measured_code(suite, kind, name), "train": training.key}
    return Step(f"{kind}/{model_path(name, seed)}", kind, name, seed, config, (training.id,), work)


def _attempts(suite: Suite, data: ImageData, training: Step, trainings: Trainings, costs: Costs) -> Iterator[Attempt]:
    """Give the attacks on a trained model."""
    name, seed = training.model, training.seed
    common = {"seed": seed, "data": {"test": data.test_fingerprint}, "train": training.key}
    for attack in suite.attacks:
        if not runs_on(suite, attack, name) or _repeats(suite, attack, name):
            continue
        needs: tuple[str, ...] = (training.id,)
        made_on = {}
        if attack.surrogate not in {None, name}:
            surrogate = trainings[attack.surrogate, seed]
            needs, made_on = (*needs, surrogate.id), {"surrogate": surrogate.key}
        for eps, cost in costs[attack.label].items():
            config = attack_config(suite, data, attack, name, eps) | common | made_on
            kind = "minimal" if eps is None else "attack"
            yield Attempt(attack_id(name, seed, attack.label, eps), kind, name, seed, attack.label, config, needs, cost)


def _joint_steps(
    suite: Suite, data: ImageData, prints: dict[str, str], trainings: Trainings, steps: dict[str, Step]
) -> Iterator[Step]:
    """Give the steps over all attacks on a model, and between models."""
    if not suite.attacks:
        return
    radii: dict[str, Any] = {"radii": suite.threat_model.eps}
    worst: dict[tuple[str, int], Step] = {}
    for name, seed in product(suite.models, suite.seeds):
        mine = [step for step in steps.values() if (step.model, step.seed) == (name, seed)]
        attacks = [step for step in mine if step.kind in {"attack", "minimal"}]
        yield from _masking_step(suite, data, prints, trainings[name, seed], attacks)
        needs = [steps[f"accuracy/{model_path(name, seed)}"], *attacks]
        labels = tuple(dict.fromkeys(label for step in attacks for label in step.labels))
        # Which steps are one attack's, since it is counted as one whom it fooled first.
        grouped = {"attacks": [sum(step.labels == (label,) for step in attacks) for label in labels]}
        worst[name, seed] = _joint(suite, "worst", name, seed, needs, radii | grouped, labels=labels)
        yield worst[name, seed]
    baseline, *others = suite.models
    for name in others:
        yield _difference_step([worst[each, seed] for each in (name, baseline) for seed in suite.seeds], radii)


def _difference_step(worst: list[Step], radii: dict[str, Any]) -> Step:
    """Give the step between two models over all seeds, which needs those of the first one before those of the other."""
    model, seed, kind = worst[0].model, worst[0].seed, "difference"
    content = {**radii, "seed": None, **joint_code(kind), "needs": [needed.key for needed in worst]}
    step_id = f"{kind}/{in_path(model)}/all-seeds"
    return Step(step_id, kind, model, seed, content, tuple(needed.id for needed in worst))


def _masking_step(
    suite: Suite, data: ImageData, prints: dict[str, str], training: Step, attacks: list[Step]
) -> Iterator[Step]:
    spec, threat = suite.diagnostics.masking, suite.threat_model
    if not spec:
        return
    radii = [eps for eps in threat.eps if eps > 0]
    eps = spec.eps if spec.eps is not None else radii[len(radii) // 2]
    # What the suite's own attacks fooled is held against the checks' attacks.
    within = [step for step in attacks if step.kind == "minimal" or step.config["threat_model"]["eps"] <= eps]
    config = {
        **spec.model_dump(mode="json"),
        "eps": eps,
        "samples": min(spec.samples, looks_of(suite, len(data.test))[0]),
        **({} if threat.until is None else {"order": "random"}),
        "threat_model": threat.model_dump(mode="json", include={"norm", "space", "batch_size"}),
        "statistics": data.statistics if threat.space == "normalized" else None,
        "deterministic": deterministic(suite, training.model),
        "data": {"test": prints["test"]},
    }
    work = config["samples"] * (12 * spec.steps + 0.4 * (spec.queries + spec.draws))
    yield _joint(suite, "masking", training.model, training.seed, [training, *within], config, work)


def _joint(
    suite: Suite,
    kind: str,
    name: str,
    seed: int,
    needs: list[Step],
    config: dict[str, Any],
    work: float = 1.0,
    labels: tuple[str, ...] = (),
) -> Step:
    content = {
        **config,
        "seed": seed,
        **(measured_code(suite, kind, name) if kind == "masking" else joint_code(kind)),
        "needs": [needed.key for needed in needs],
    }
    needed = tuple(step.id for step in needs)
    return Step(f"{kind}/{model_path(name, seed)}", kind, name, seed, content, needed, work, labels)
