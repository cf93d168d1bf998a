"""The plan: which steps a suite takes, what each depends on, and the key that says whether it is done."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from lrbench.attacks import paper_steps
from lrbench.catalogue import ATTACKS, MODELS
from lrbench.data import ImageData
from lrbench.errors import UsageError
from lrbench.names import attack_id, in_path, model_place
from lrbench.runner.threat import kind_of
from lrbench.runner.version import code_version, factory_version, file_hash
from lrbench.suite import AttackSpec, Suite

MAX_STEPS = 50_000

REPRESENT = ("models", "data", "diagnostics", "runner/represent.py")

CODE = {
    "train": ("models", "data", "lowrank", "training", "runner/train.py"),
    "load": ("models", "data", "runner/train.py"),
    "accuracy": ("models", "data", "diagnostics", "runner/measure.py"),
    "variance": ("models", "data", "lowrank", "diagnostics", "runner/measure.py"),
    "embeddings": REPRESENT,
    "transfer": REPRESENT,
    "compression": REPRESENT,
    "clusters": REPRESENT,
    "corruptions": ("models", "data", "diagnostics/corruptions.py", "runner/measure.py"),
    "part": ("models", "data", "attacks", "runner/attack.py"),
    "attack": ("models", "data", "attacks", "runner/attack.py"),
    "minimal": ("models", "data", "attacks", "runner/attack.py"),
    "masking": ("models", "data", "attacks", "diagnostics/masking", "statistics", "runner/judge.py"),
    "worst": ("runner/judge.py",),
    "difference": ("runner/judge.py", "statistics"),
}


@dataclass(frozen=True)
class Step:
    """One piece of work that is done or not.

    Attributes
    ----------
    id : str
        Where it is stored: kind/model/seed and what else sets it apart.
    kind : str
        One of `CODE`.
    model : str
    seed : int
        Of a step over all seeds the first.
    config : dict
        Everything that determines the result, JSON-serialisable: configuration, data, code, versions of what it
        needs. Its hash is the step's key.
    needs : tuple of str
        Ids of the steps whose artefacts it reads.
    work : float
        Rough cost, in forward-and-backward passes of one image.
    """

    id: str
    kind: str
    model: str
    seed: int
    config: dict[str, Any]
    needs: tuple[str, ...] = ()
    work: float = 1.0
    key: str = field(init=False)

    def __post_init__(self) -> None:
        canonical = json.dumps(self.config, sort_keys=True, separators=(",", ":"))
        object.__setattr__(self, "key", hashlib.sha256(canonical.encode()).hexdigest())


Trainings = dict[tuple[str, int], Step]


def make_plan(suite: Suite, data: ImageData) -> list[Step]:
    """Give the steps of a suite in order: model by model, seed by seed, training before what is measured on it.

    Raises
    ------
    UsageError
        If there are more than `MAX_STEPS`.
    """
    parts = 1 + len(suite.threat_model.parts(suite.threat_model.samples or len(data.test)))
    attacks = sum(parts * len(attack.radii(suite.threat_model.eps)) for attack in suite.attacks)
    if (count := len(suite.models) * len(suite.seeds) * (attacks + 1)) > MAX_STEPS:
        msg = f"{suite.name}: models, seeds, attacks and radii make {count:,} steps and more; at most {MAX_STEPS:,} go"
        raise UsageError(msg)
    prints = {"train": data.train_fingerprint, "test": data.test_fingerprint}
    trainings: Trainings = {}
    steps: dict[str, Step] = {}
    for name, seed in product(suite.models, suite.seeds):
        _add_training(trainings, suite, data, name, seed)
    for name, seed in product(suite.models, suite.seeds):
        own = _model_steps(suite, data, prints, trainings, name, seed)
        steps |= {step.id: step for step in own}
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


def _model_steps(
    suite: Suite, data: ImageData, prints: dict[str, str], trainings: Trainings, name: str, seed: int
) -> Iterator[Step]:
    training = trainings[name, seed]
    yield training

    def measured(
        kind: str,
        data_prints: dict[str, str],
        work: float,
        source: Step | None = None,
        step_id: str | None = None,
        parts: Sequence[Step] | None = None,
        **config: object,
    ) -> Step:
        content = {
            **config,
            "seed": seed,
            "data": data_prints,
            "code": code_version(*CODE[kind]),
            "train": training.key,
        }
        needs: tuple[str, ...] = (training.id,)
        if source is not None:
            content["source"] = source.key
            needs += (source.id,)
        if parts is not None:
            content["parts"] = [part.id for part in parts]
            needs += tuple(part.id for part in parts)
        return Step(step_id or f"{kind}/{model_place(name, seed)}", kind, name, seed, content, needs, work)

    threat = suite.threat_model
    samples = threat.samples or len(data.test)
    test_only = {"test": prints["test"]}
    yield measured("accuracy", test_only, 0.4 * len(data.test), samples=samples)
    diagnostics = suite.diagnostics
    passes = {
        "variance": 0.6 * len(data.train),
        "embeddings": 0.8 * (len(data.train) + len(data.test)),
        "transfer": 0.8 * (len(data.train) + len(data.test)),
        "compression": 0.8 * (len(data.train) + len(data.test)),
        "clusters": 0.4 * len(data.test),
        "corruptions": 20.0 * len(data.test),
    }
    for kind, work in passes.items():
        spec = getattr(diagnostics, "variance_ratio" if kind == "variance" else kind)
        if spec is not None:
            yield measured(kind, prints, work, **spec.model_dump(mode="json"))
    yield from _attack_steps(suite, data, trainings, measured, name, seed)


def _attack_steps(
    suite: Suite, data: ImageData, trainings: Trainings, measured: Callable[..., Step], name: str, seed: int
) -> Iterator[Step]:
    threat, diagnostics = suite.threat_model, suite.diagnostics
    samples = threat.samples or len(data.test)
    common = {
        "statistics": data.statistics if threat.space == "normalized" else None,
        "samples": samples,
        "d_adv": diagnostics.d_adv.layers if diagnostics.d_adv else [],
    }
    threat_config = threat.model_dump(mode="json", exclude={"eps", "batch_size", "l2", "part"})
    test_only = {"test": data.test_fingerprint}
    for attack in suite.attacks:
        if attack.source == name:
            continue  # on itself it would be the attack without a source
        minimal = kind_of(ATTACKS[attack.name].load()) == "minimal"
        source = None if attack.source is None else trainings[attack.source, seed]
        for eps in [None] if minimal else attack.radii(threat.eps):
            config = {
                **common,
                "attack": _attack_config(attack),
                "minimal": minimal,
                "threat_model": threat_config | {"eps": threat.eps if eps is None else eps},
            }
            passes = _passes(attack) or (1 if eps is None else paper_steps(eps))
            step_id = attack_id(name, seed, attack.label, eps)
            parts = []
            for begin, end in threat.parts(samples):
                work = (end - begin) * passes
                part_id = f"{step_id}/part-{begin}"
                parts.append(measured("part", test_only, work, source, part_id, part=[begin, end], **config))
            yield from parts
            kind = "minimal" if minimal else "attack"
            work = 1.0 if parts else samples * passes
            yield measured(kind, test_only, work, source, step_id, parts=parts, **config)


def _passes(attack: AttackSpec) -> float:
    """Rough forward-and-backward passes an image; 0 for the paper's attacks, whose number follows from eps."""
    options, name = attack.options, attack.name
    factors = {"autoattack": 4, "fab-t": 9, "apgd-t": 4, "carlini-wagner": 9, "deepfool": 3}
    queries = options.get("queries", 5000 if name in {"square", "autoattack"} else 0)
    default = {"fgsm": 1, "pgd": 20, "apgd-ce": 100, "apgd-t": 100, "fab-t": 100, "autoattack": 100}.get(name, 0)
    steps = options.get("steps") or default
    return float(steps * factors.get(name, 1) * options.get("restarts", 1) + 0.4 * queries)


def _joint_steps(
    suite: Suite, data: ImageData, prints: dict[str, str], trainings: Trainings, steps: dict[str, Step]
) -> Iterator[Step]:
    """Give the steps over all attacks on a model, and between models."""
    if not suite.attacks:
        return
    worst: dict[tuple[str, int], Step] = {}
    for name, seed in product(suite.models, suite.seeds):
        mine = [step for step in steps.values() if (step.model, step.seed) == (name, seed)]
        attacks = [step for step in mine if step.kind in {"attack", "minimal"}]
        yield from _masking_step(suite, data, prints, trainings[name, seed], attacks)
        needs = [steps[f"accuracy/{model_place(name, seed)}"], *attacks]
        worst[name, seed] = _joint("worst", name, seed, needs, {"labels": [a.label for a in suite.attacks]})
        yield worst[name, seed]
    baseline, *others = suite.models
    for name in others:
        yield _difference_step([worst[each, seed] for each in (name, baseline) for seed in suite.seeds])


def _difference_step(worst: list[Step]) -> Step:
    """Give the step between two models over all seeds, which needs those of the first one before those of the other."""
    model, seed, kind = worst[0].model, worst[0].seed, "difference"
    content = {"seed": None, "code": code_version(*CODE[kind]), "needs": {needed.id: needed.key for needed in worst}}
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
    transfers = [step for step in attacks if "source" in step.config and step.config["threat_model"]["eps"] == eps]
    config = {
        **spec.model_dump(mode="json"),
        "eps": eps,
        "samples": min(spec.samples, threat.samples or len(data.test)),
        "threat_model": threat.model_dump(mode="json", include={"norm", "space", "samples"}),
        "statistics": data.statistics if threat.space == "normalized" else None,
        "data": {"test": prints["test"]},
    }
    passes = 12 * spec.steps + 0.4 * (spec.queries + spec.draws)
    work = config["samples"] * passes
    yield _joint("masking", training.model, training.seed, [training, *transfers], config, work)


def _joint(kind: str, name: str, seed: int, needs: list[Step], config: dict[str, Any], work: float = 1.0) -> Step:
    content = {
        **config,
        "seed": seed,
        "code": code_version(*CODE[kind]),
        "needs": {needed.id: needed.key for needed in needs},
    }
    return Step(
        f"{kind}/{model_place(name, seed)}", kind, name, seed, content, tuple(needed.id for needed in needs), work
    )


def _add_training(trainings: Trainings, suite: Suite, data: ImageData, name: str, seed: int) -> Step:
    """Add the step that makes a model, and before it the one that makes the network it starts from."""
    if (name, seed) not in trainings:
        start = suite.models[name].start
        before = None if start is None else _add_training(trainings, suite, data, start, seed)
        trainings[name, seed] = _train_step(suite, data, name, seed, before)
    return trainings[name, seed]


def _train_step(suite: Suite, data: ImageData, name: str, seed: int, before: Step | None) -> Step:
    spec, training = suite.models[name], suite.training_of(name)
    kind = "train" if spec.train else "load"
    adversarial = ("attacks",) if training.adversarial else ()
    config = {
        "arch": spec.arch,
        "options": spec.options,
        "factory": factory_version(MODELS[spec.arch]),
        "weights": None if spec.weights is None else file_hash(spec.weights),
        "normalize": spec.model_dump(mode="json")["normalize"],
        "lr_layers": {layer: lr.options for layer, lr in spec.lr_layers.items()},
        "low_rank": suite.low_rank.model_dump(mode="json") if spec.lr_layers else None,
        "training": training.model_dump(mode="json") if spec.train else None,
        "classes": list(data.classes),
        "seed": seed,
        "data": {"train": data.train_fingerprint},
        "code": code_version(*CODE[kind], *adversarial),
    }
    if before is not None:
        config["start"] = before.key
    needs = () if before is None else (before.id,)
    passes = training.epochs * (1 + (training.adversarial.steps if training.adversarial else 0))
    work = 1.3 * passes * len(data.train) if spec.train else 1.0
    return Step(f"{kind}/{model_place(name, seed)}", kind, name, seed, config, needs, work)


def _attack_config(attack: AttackSpec) -> dict[str, Any]:
    return {**attack.model_dump(mode="json"), "factory": factory_version(ATTACKS[attack.name])}
