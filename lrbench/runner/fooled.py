"""Whom attacks fooled, by what their steps, or the parts of these, kept."""

import numpy as np
from safetensors.numpy import load

from lrbench.catalogue import ATTACKS
from lrbench.names import attack_id, model_path, whole_of
from lrbench.runner.context import Context
from lrbench.runner.found import OUTCOMES, attacked_in
from lrbench.runner.step import Step
from lrbench.runner.threat import kind_of
from lrbench.suite import AttackSpec

Outcomes = dict[str, np.ndarray]


def is_minimal(spec: AttackSpec) -> bool:
    """Whether an attack looks for the smallest perturbation."""
    return kind_of(ATTACKS[spec.name].load()) == "minimal"


def wrong_before(context: Context, model: str, seed: int) -> np.ndarray:
    """Which images a model gets wrong without an attack; where figures decide how many are attacked, of all."""
    outcomes = load(context.file(f"accuracy/{model_path(model, seed)}", OUTCOMES))
    wrong: np.ndarray = outcomes["predicted"] != outcomes["label"]
    return wrong


def fooled(
    context: Context, step: Step, spec: AttackSpec, eps: float, trained: tuple[str, int] | None = None
) -> np.ndarray | None:
    """Whom an attack fooled at a radius, by the steps that a step needs.

    None if it did not run there or is outside the threat model. `trained` is another model and seed than the step's.
    """
    minimal = is_minimal(spec)
    model, seed = trained or (step.model, step.seed)
    outcomes = _outcomes(context, step, attack_id(model, seed, spec.label, None if minimal else eps))
    if outcomes is None or kind_of(ATTACKS[spec.name].load()) == "noise":
        return None
    if minimal:
        within: np.ndarray = outcomes[context.suite.threat_model.norm] <= eps
        return within
    wrong: np.ndarray = outcomes["predicted"] != outcomes["label"]
    return wrong


def _outcomes(context: Context, step: Step, attack: str) -> Outcomes | None:
    """Read what an attack's step kept, or those of its parts that the step needs; None if it needs neither."""
    if attack in step.needs:
        return load(context.file(attack, OUTCOMES))
    parts = attacked_in(context.store, (each for each in step.needs if whole_of(each) == attack))
    found = [load(context.file(part, OUTCOMES)) for part in parts]
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]} if found else None
