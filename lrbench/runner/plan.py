"""The plan: which steps a suite takes, what each depends on, and the key that says whether it is done."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lrbench.attacks import paper_steps
from lrbench.catalogue import ATTACKS, MODELS
from lrbench.data import ImageData
from lrbench.runner.version import code_version, factory_version, file_hash
from lrbench.suite import AttackSpec, Suite

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
    "attack": ("models", "data", "attacks", "runner/attack.py"),
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


def make_plan(suite: Suite, data: ImageData) -> list[Step]:
    """Give the steps of a suite in order: model by model, seed by seed, training before what is measured on it."""
    prints = {"train": data.train_fingerprint, "test": data.test_fingerprint}
    return [
        step for name in suite.models for seed in suite.seeds for step in _model_steps(suite, data, prints, name, seed)
    ]


def _model_steps(suite: Suite, data: ImageData, prints: dict[str, str], name: str, seed: int) -> Iterator[Step]:
    place = f"{name}/seed-{seed}"
    training = _train_step(suite, data, prints, name, seed, place)
    yield training

    def measured(kind: str, suffix: str, data_prints: dict[str, str], work: float, **config: object) -> Step:
        content = {
            **config,
            "seed": seed,
            "data": data_prints,
            "code": code_version(*CODE[kind]),
            "train": training.key,
        }
        return Step(f"{kind}/{place}{suffix}", kind, name, seed, content, (training.id,), work)

    threat = suite.threat_model
    samples = threat.samples or len(data.test)
    test_only = {"test": prints["test"]}
    yield measured("accuracy", "", test_only, 0.4 * len(data.test), samples=samples)
    diagnostics = suite.diagnostics
    passes = {
        "variance": 0.6 * len(data.train),
        "embeddings": 0.8 * (len(data.train) + len(data.test)),
        "transfer": 0.8 * (len(data.train) + len(data.test)),
        "compression": 0.8 * (len(data.train) + len(data.test)),
        "clusters": 0.4 * len(data.test),
    }
    for kind, work in passes.items():
        spec = getattr(diagnostics, "variance_ratio" if kind == "variance" else kind)
        if spec is not None:
            yield measured(kind, "", prints, work, **spec.model_dump(mode="json"))
    layers = diagnostics.d_adv.layers if diagnostics.d_adv else []
    for attack in suite.attacks:
        for eps in threat.eps:
            config = {
                "attack": _attack_config(attack),
                "threat_model": threat.model_dump(mode="json", exclude={"eps", "batch_size"}) | {"eps": eps},
                "statistics": data.statistics if threat.space == "normalized" else None,
                "samples": samples,
                "d_adv": layers,
            }
            work = samples * (attack.options.get("steps") or paper_steps(eps))
            yield measured("attack", f"/{attack.name}/eps-{255 * eps:.6g}", test_only, work, **config)


def _train_step(suite: Suite, data: ImageData, prints: dict[str, str], name: str, seed: int, place: str) -> Step:
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
        "data": {"train": prints["train"]},
        "code": code_version(*CODE[kind], *adversarial),
    }
    passes = training.epochs * (1 + (training.adversarial.steps if training.adversarial else 0))
    work = 1.3 * passes * len(data.train) if spec.train else 1.0
    return Step(f"{kind}/{place}", kind, name, seed, config, (), work)


def _attack_config(attack: AttackSpec) -> dict[str, Any]:
    return {**attack.model_dump(mode="json"), "factory": factory_version(ATTACKS[attack.name])}
