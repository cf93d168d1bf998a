"""What parts of a suite say of each other: a model of the one it starts from, an attack of its surrogate and radii."""

from collections.abc import Iterator

from lrbench.errors import nearest, printable
from lrbench.regularizers.registry import regularizer_of
from lrbench.runner.claims import without_claims
from lrbench.strict import KeyPath
from lrbench.suite import AttackSpec, Suite
from lrbench.suite.document import MAX_DEPTH
from lrbench.suite.faults import short_repr

Fault = tuple[KeyPath, str]


def unresolved(suite: Suite) -> Iterator[Fault]:
    """Say what a suite refers to that it does not have, or that goes in a circle: the key, and why."""
    for index, attack in enumerate(suite.attacks):
        yield from _of_attack(suite, attack, ("attacks", index))
    yield from without_claims(suite)
    for model in suite.models:
        yield from _of_start(suite, model, ("models", model, "init_from"))


def _of_attack(suite: Suite, attack: AttackSpec, where: KeyPath) -> Iterator[Fault]:
    models, radii = suite.models, suite.threat_model.eps
    if attack.surrogate is not None and attack.surrogate not in models:
        yield (*where, "surrogate"), f"unknown model {attack.surrogate!r}; {nearest(attack.surrogate, models)}"
    for radius in attack.eps or ():
        if radius not in radii:
            listed = ", ".join(f"{255 * eps:.4g}/255" for eps in radii)
            yield (*where, "eps"), f"{255 * radius:.4g}/255 is not one of threat_model.eps: {listed}"


def _of_start(suite: Suite, model: str, where: KeyPath) -> Iterator[Fault]:
    models, passed = suite.models, [model]
    while (start := models[passed[-1]].init_from) is not None:
        if start not in models:
            yield where, f"unknown model {short_repr(start)}; {nearest(start, models)}"
            return
        if start in passed:
            yield where, f"{printable(' -> '.join([*passed, start])):.200} start from each other in a circle"
            return
        if (models[start].arch, models[start].options) != (models[model].arch, models[model].options):
            yield where, f"{short_repr(start)} is another architecture, or has other options"
        if any(regularizer_of(each).lasting for each in models[start].regularizers.asked):
            yield where, f"{short_repr(start)} is no network to start from: its regularizers stay in it"
        if len(passed) > MAX_DEPTH:
            yield where, f"more than {MAX_DEPTH} models start from one another"
            return
        passed.append(start)
