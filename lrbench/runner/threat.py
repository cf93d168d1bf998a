"""Attacks of a suite made ready: what the threat model supplies to each."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from lrbench.attacks import Attack, NormalizedSpace
from lrbench.attacks.base import Kind
from lrbench.attacks.cost import GRADIENT, LOOK, Passes
from lrbench.data import ImageData
from lrbench.runner.budget import within
from lrbench.strict import KeyPath
from lrbench.suite import AttackSpec, Suite, ThreatModel
from lrbench.supplied import supplied_to


def kind_of(factory: Callable[..., Any]) -> Kind:
    """Say what an attack promises: to stay within a radius, to look for the closest point, or neither."""
    kind: Kind = getattr(factory, "kind", "bounded")
    return kind


def unfit_radius(suite: Suite) -> tuple[KeyPath, str] | None:
    """Give the first radius of a suite that is none for such images, and why."""
    threat, masking = suite.threat_model, suite.diagnostics.masking
    if threat.space != "pixel" or threat.norm != "linf":
        return None
    radii: dict[KeyPath, float] = {("threat_model", "eps", place): eps for place, eps in enumerate(threat.eps)}
    if masking and masking.eps is not None:
        radii["diagnostics", "masking", "eps"] = masking.eps
    for where, eps in radii.items():
        if eps > 1:
            meant = f"; did you mean {eps:g}/255?" if eps <= 255 and float(eps).is_integer() else ""
            return where, f"pixels span [0, 1]; got {eps:g}{meant}"
    return None


def needs_gradients(factory: Callable[..., Any]) -> bool:
    """Say whether an attack asks more of a model than logits."""
    needs: bool = getattr(factory, "needs_gradients", True)
    return needs


def is_weak(factory: Callable[..., Any]) -> bool:
    """Say whether a model may withstand an attack without being robust."""
    weak: bool = getattr(factory, "weak", False)
    return weak


def passes_of(factory: Callable[..., Any], spec: AttackSpec, threat: ThreatModel, eps: float | None) -> Passes:
    """Give about how often an image passes: as the attack says, and once to look at what it found.

    The radius of a search for the smallest perturbation is None.
    """
    try:
        made = make_attack(factory, spec, threat, threat.eps[0] if eps is None else eps)
        passes = Passes.read(getattr(made, "passes", 1.0))
    # Somebody's attack that cannot be made at this radius fails there, and keeps no other step from being taken.
    except Exception:  # noqa: BLE001
        passes = GRADIENT
    return LOOK + passes


def make_attack(
    factory: Callable[..., Attack],
    spec: AttackSpec,
    threat: ThreatModel,
    eps: float,
    subspace: tuple[Tensor, Tensor] | None = None,
) -> Attack:
    """Build an attack with its options and what of the threat model it takes; a minimal one is given no radius.

    Raises
    ------
    ValueError
        If it does not fit the threat model, or refuses an option.
    """
    supplied = {"eps": eps, "bounds": bounds_of(threat), "subspace": subspace}
    given = supplied_to(factory, spec.name, threat.norm, supplied)
    if threat.budget is None:
        return factory(**given, **spec.options)
    try:
        return within(threat.budget, factory, given, spec.options)
    except ValueError as error:
        msg = f"{spec.name}: {error}"
        raise ValueError(msg) from error


def bounds_of(threat: ThreatModel) -> tuple[float, float] | None:
    """Give the valid range of an entry in the threat model's space."""
    return (0.0, 1.0) if threat.space == "pixel" else None


def viewed(model: nn.Module, threat: ThreatModel, data: ImageData) -> NormalizedSpace | None:
    """Give the model as it is seen from normalised space; None in pixel space."""
    return NormalizedSpace(model, *data.statistics) if threat.space == "normalized" else None
