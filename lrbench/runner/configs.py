"""What determines the results of the steps that make and attack models, as it stands in their keys.

Content alone: no name of a model, no label, nothing that says where a step stands among others. What other steps found
counts by their keys.
"""

from collections.abc import Iterator
from typing import Any

from lrbench.catalogue import ATTACKS, MEASURES, MODELS, REGULARIZERS
from lrbench.data import ImageData
from lrbench.measures import AttackMeasure, Options
from lrbench.measures.registry import measure_of
from lrbench.runner.code import dependencies, file_hash
from lrbench.runner.lacking import has_layers
from lrbench.suite import AttackSpec, Suite, Training

LOW_RANK = "lrbench.lowrank"

OF_MODELS = (LOW_RANK, "lrbench.models")


def train_config(suite: Suite, data: ImageData, name: str, seed: int) -> dict[str, Any]:
    """Give what determines a trained or loaded model, but for the network that its training begins with."""
    spec, training = suite.models[name], suite.training_of(name)
    asked = spec.regularizers.content
    unused = [*_without_layers(suite, name), *_unused_in(training)]
    entries = [MODELS[spec.arch], *(REGULARIZERS[each] for each in asked)]
    return {
        "arch": spec.arch,
        "options": spec.options,
        "weights": None if spec.weights_file is None else file_hash(spec.weights_file),
        "normalize": spec.model_dump(mode="json")["normalize"],
        "lr_layers": {layer: lr.options for layer, lr in spec.lr_layers.items()},
        "low_rank": suite.low_rank.model_dump(mode="json") if spec.lr_layers else None,
        "training": training.content if spec.train else None,
        **({"regularizers": asked} if asked else {}),
        "classes": list(data.classes),
        **({} if data.outputs is None else {"outputs": [data.outputs.count, *data.outputs.chosen]}),
        "seed": seed,
        "data": {"train": data.train_fingerprint},
        **dependencies("train" if spec.train else "load", entries=entries, without=unused).config,
    }


def _unused_in(training: Training) -> Iterator[str]:
    """Give the modules that a training does not call into."""
    adversarial = training.adversarial
    if adversarial is None:
        yield "lrbench.training.adversarial"
    if adversarial is None or adversarial.trades is None:
        yield "lrbench.training.trades"
    if training.averaging is None:
        yield "lrbench.training.averaging"
    if training.processes == 1:
        yield "lrbench.training.parallel"


def measured_code(suite: Suite, kind: str, name: str) -> dict[str, Any]:
    """Give the code behind what a step of this kind measures of a model."""
    entries = [MEASURES[kind]] if kind in suite.diagnostics.measures else []
    return dependencies(kind, entries=entries, without=_without_layers(suite, name)).config


def attack_config(suite: Suite, data: ImageData, attack: AttackSpec, name: str, eps: float | None) -> dict[str, Any]:
    """Give what determines what an attack does to an image; a search for the smallest perturbation has no radius."""
    threat = suite.threat_model
    measures = {} if eps is None else attack_measures(suite, name)
    layered = [each for each in (name, attack.surrogate) if each is not None and suite.models[each].lr_layers]
    kinds = ("part", "minimal" if eps is None else "attack")
    entries = [ATTACKS[attack.name], *(MEASURES[kind] for kind in measures)]
    return {
        "attack": {"name": attack.name, "options": attack.options},
        "minimal": eps is None,
        "threat_model": threat.model_dump(mode="json", include={"norm", "space", "compile"}) | {"eps": eps},
        **({} if threat.budget is None else {"budget": threat.budget}),
        # Whoever draws random numbers draws them for a batch.
        "batch_size": threat.batch_size,
        "statistics": data.statistics if threat.space == "normalized" else None,
        "deterministic": deterministic(suite, name, attack.surrogate),
        **({"keep_images": True} if threat.keep_images else {}),
        "measures": {kind: options.model_dump(mode="json") for kind, options in measures.items()},
        **dependencies(*kinds, entries=entries, without=() if layered else (LOW_RANK,)).config,
    }


def attack_measures(suite: Suite, name: str) -> dict[str, Options]:
    """Give what is measured of each attack on a model, with its options."""
    asked = suite.diagnostics
    return {
        kind: options
        for kind, options in asked.measures.items()
        if isinstance(measure_of(kind), AttackMeasure) and (kind not in asked.of_layers or has_layers(suite, name))
    }


def deterministic(suite: Suite, *models: str | None) -> bool:
    """Whether all of these models are to be worked on with deterministic algorithms."""
    return all(suite.training_of(model).deterministic for model in models if model is not None)


def joint_code(kind: str) -> dict[str, Any]:
    """Give the code of a step that looks at what other steps found, and at no model."""
    return dependencies(kind, without=OF_MODELS).config


def _without_layers(suite: Suite, name: str) -> Iterator[str]:
    if not suite.models[name].lr_layers:
        yield LOW_RANK
