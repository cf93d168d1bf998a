"""A suite's attacks against what is there: their options, radii and the data that they are made on."""

from lrbench.attacks import Attack
from lrbench.catalogue import ATTACKS
from lrbench.data import ImageData
from lrbench.errors import UsageError, foreign
from lrbench.runner.claims import attacks_of
from lrbench.runner.factories import brought_in, hold_options
from lrbench.runner.threat import kind_of, make_attack, unfit_radius
from lrbench.strict import KeyPath
from lrbench.suite import AttackSpec, Suite
from lrbench.suite.document import Document
from lrbench.suite.masking import widest

BESIDE_OPTIONS = ("label", "name")
OF_A_RADIUS = ("surrogate", "eps")


def check_attacks(suite: Suite, document: Document, data: ImageData) -> None:
    """Check the attacks' options and radii, and that they can be made on such data.

    Raises
    ------
    UsageError
        With the first thing that does not fit; it names the line in the suite's document.
    """
    if unfit := unfit_radius(suite):
        raise document.error(*unfit)
    if wide := _too_wide_to_check(suite):
        raise document.error(("diagnostics", "masking", "eps"), wide)
    for where, attack, eps in attacks_of(suite):
        _check(suite, document, attack, where, data, eps)


def _too_wide_to_check(suite: Suite) -> str | None:
    """Say why gradients cannot be checked at the radius that a suite asks for, or would be by default."""
    masking, threat = suite.diagnostics.masking, suite.threat_model
    radii = [eps for eps in threat.eps if eps > 0]
    if not masking or not suite.attacks or not (masking.eps or radii):
        return None
    eps, largest = masking.eps or radii[len(radii) // 2], widest(threat.norm, threat.space)
    if eps <= largest:
        return None
    asked = "got" if masking.eps else "the middle radius is"
    fitting = [each for each in radii if each <= largest]
    choice = f"check at {fitting[-1]:g} (`masking: {{eps: {fitting[-1]:g}}}`)" if fitting else "attack at a smaller one"
    return (
        f"the checks for masked gradients attack at twice their radius, so that {largest:g} is the largest; {asked} "
        f"{eps:g}; {choice}, or leave them out (`masking: false`)"
    )


def _check(suite: Suite, document: Document, attack: AttackSpec, where: KeyPath, data: ImageData, eps: float) -> None:
    factory = brought_in(document, ATTACKS, attack.name, where)
    bounded = kind_of(factory) != "minimal"
    for key in OF_A_RADIUS if not bounded else ():
        if getattr(attack, key) is not None:
            message = f"{attack.name} looks for the smallest perturbation of one model; `{key}` does not go with it"
            raise document.error((*where, key), message)
    beside = (*OF_A_RADIUS, *BESIDE_OPTIONS) if bounded and where[0] == "attacks" else BESIDE_OPTIONS
    hold_options(document, factory, ATTACKS.supplied, where, attack.options, beside)
    try:
        with foreign(factory, attack.name):
            made = make_attack(factory, attack, suite.threat_model, eps)
    except (ValueError, UsageError) as error:
        raise document.error(where, str(error)) from None
    shape = (data.channels, *data.test.images.shape[2:])
    if isinstance(made, Attack) and (reason := made.unfit(len(data.classes), shape)) is not None:
        raise document.error(where, reason.replace("this model has", f"{data.name} has"))
