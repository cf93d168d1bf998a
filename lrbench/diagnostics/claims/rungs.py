"""The ladder: attacks on the same images, each of which changes one thing of the claim's own.

A rung says why it does not apply instead of being left out in silence.
"""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.attacks import APGD, AdaptiveLR, AutoAttack, Square, TargetedAPGD
from lrbench.attacks.frozen import frozen
from lrbench.diagnostics.claims.bench import Bench, Tried
from lrbench.diagnostics.claims.inner import InnerLogits
from lrbench.diagnostics.claims.rung import Changed, DoesNotApplyError, Rung, fit, is_ensemble, joined
from lrbench.diagnostics.claims.straight import straight_through
from lrbench.diagnostics.claims.views import InFloat64, Rescaled, Smoothed
from lrbench.lowrank import LRLayers, subspace_at

SMALL_NOISE = 0.25
"""Of the radius, the size of noise that logits are averaged over."""


class Own(Rung):
    """The claim's own attack."""

    name, change = "own", "the claim's own attack"

    def tried(self, bench: Bench) -> Tried:
        """Attack as claimed."""
        return bench.tried(bench.claim.made())


class Longer(Changed):
    """More steps."""

    name, change, in_ensembles = "steps", "more steps", True

    def changes(self, bench: Bench) -> dict[str, Any]:
        """Make several times as many."""
        said = getattr(bench.claim.made(), "steps", 1)
        steps = said if isinstance(said, int) else 1
        return {"steps": max(bench.effort.least, bench.effort.longer * steps)}


class Margin(Changed):
    """The margin instead of the cross-entropy."""

    name, change, in_ensembles = "margin", "a margin loss", True

    def changes(self, bench: Bench) -> dict[str, Any]:  # noqa: ARG002
        """Take the margin."""
        return {"loss": "margin"}


class Dlr(Changed):
    """The difference of logits ratio."""

    name, change, in_ensembles = "dlr", "the DLR loss", True

    def changes(self, bench: Bench) -> dict[str, Any]:  # noqa: ARG002
        """Take the DLR."""
        return {"loss": "dlr"}


class Restarts(Changed):
    """Several random starts."""

    name, change, in_ensembles = "restarts", "more random starts", True

    def changes(self, bench: Bench) -> dict[str, Any]:
        """Make several runs."""
        return {"restarts": bench.effort.restarts, "random_start": True}


class Expectation(Changed):
    """Gradients averaged over passes."""

    name, change = "expectation", "gradients averaged over passes (EOT)"

    def changes(self, bench: Bench) -> dict[str, Any]:
        """Average over several passes."""
        if not bench.randomness.yes:
            msg = "the network draws no random numbers"
            raise DoesNotApplyError(msg)
        return {"eot": bench.effort.averaged}


class RescaledLogits(Rung):
    """Logits of a fixed spread."""

    name, change, in_ensembles = "rescaled", "logits rescaled to a fixed spread", True

    def tried(self, bench: Bench) -> Tried:
        """Attack the network with its logits rescaled."""
        return bench.tried(bench.claim.made(), Rescaled(bench.model))


class SmoothedLogits(Rung):
    """Logits averaged over noise around the image."""

    name, change = "smoothed", "logits averaged over small noise around the image"

    def tried(self, bench: Bench) -> Tried:
        """Attack the average; what it finds counts on the network itself."""
        size, draws = SMALL_NOISE * bench.claim.eps, bench.effort.averaged
        attack, note = bench.claim.made(), ""
        if is_ensemble(bench.claim):
            attack = fit(bench, APGD(**bench.claim.given(APGD, "apgd-ce"), steps=bench.effort.apgd_steps))
            note = f"Auto-PGD, for {bench.claim.attack} would take long"
        tried = bench.tried(attack, Smoothed(bench.model, bench.ball, size, draws))
        return replace(tried, forward=draws * tried.forward, backward=draws * tried.backward, note=note or tried.note)


class DoublePrecision(Rung):
    """The network in float64."""

    name, change = "float64", "passes in float64"

    def tried(self, bench: Bench) -> Tried:
        """Attack a copy in float64."""
        try:
            twin = InFloat64(copy.deepcopy(bench.model).double())
            with frozen(twin), torch.no_grad():
                twin(bench.x[:1].double())
        # What cannot be copied, or computes with constants in float32, raises what it likes.
        except Exception as error:
            msg = f"the network has no copy in float64: {type(error).__name__}: {error!s:.80}"
            raise DoesNotApplyError(msg) from error
        return bench.tried(bench.claim.made(), twin)


class Apgd(Rung):
    """PGD that sets its own step size."""

    name, change, in_ensembles = "apgd", "Auto-PGD instead", True

    def tried(self, bench: Bench) -> Tried:
        """Attack with APGD on the cross-entropy."""
        return bench.tried(fit(bench, APGD(**bench.claim.given(APGD, "apgd-ce"), steps=bench.effort.apgd_steps)))


class Targeted(Rung):
    """One wrong class after the other."""

    name, change, in_ensembles = "targeted", "Auto-PGD towards one class after the other", True

    def tried(self, bench: Bench) -> Tried:
        """Attack with APGD-T; on the margin where there are too few classes for the DLR."""
        effort, loss = bench.effort, "dlr" if bench.classes >= 4 else "margin"
        options: dict[str, Any] = {"steps": effort.apgd_steps, "targets": effort.targets, "loss": loss}
        return bench.tried(fit(bench, TargetedAPGD(**bench.claim.given(TargetedAPGD, "apgd-t"), **options)))


class BlackBox(Rung):
    """No gradients."""

    name, change, costly, in_ensembles = "black-box", "random search, without gradients (Square)", True, True

    def tried(self, bench: Bench) -> Tried:
        """Attack with Square."""
        if bench.x.ndim != 4:
            msg = f"random search needs images (N, C, H, W), and these are {tuple(bench.x.shape)}"
            raise DoesNotApplyError(msg)
        return bench.tried(fit(bench, Square(**bench.claim.given(Square, "square"), queries=bench.effort.queries)))


class Transfer(Rung):
    """Made on other networks."""

    name, change = "transfer", "made on another network"

    def tried(self, bench: Bench) -> Tried:
        """Make the claim's attack on each of the other networks, and try its images on this one."""
        if not bench.others:
            msg = "no other network was given"
            raise DoesNotApplyError(msg)
        return joined([bench.tried(bench.claim.made(), other) for other in bench.others.values()])


class Adaptive(Rung):
    """Adapted to LR-Layers."""

    name, change = "adaptive", "adapted to the LR-Layers"

    def tried(self, bench: Bench) -> Tried:
        """Drive activations out of the subspace of each layer."""
        attacks = [
            AdaptiveLR(**bench.claim.given(AdaptiveLR, "adaptive-lr"), layer=layer, subspace=subspace)
            for layer, subspace in lr_subspaces(bench.model)
        ]
        if not attacks:
            msg = "the network has no LR-Layers that acted"
            raise DoesNotApplyError(msg)
        return joined([bench.tried(fit(bench, attack)) for attack in attacks])


def lr_subspaces(model: nn.Module) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Give each LR-Layer's module and its affine subspace, wherever in the model they were attached."""
    for inner in model.modules():
        layers: Any = getattr(inner, "lr_layers", None)
        for name in layers if isinstance(layers, LRLayers) else ():
            if (subspace := subspace_at(inner, name)) is not None:
                yield name, subspace


class StraightThrough(Rung):
    """Straight through modules at which gradients vanish or jump."""

    name, change = "straight-through", "a straight-through gradient where it vanishes or jumps"

    def tried(self, bench: Bench) -> Tried:
        """Find such modules, and attack through them."""
        flagged = [place for place in bench.places if place.flagged]
        through = [place for place in flagged if place.same_shape]
        if not flagged:
            msg = f"none of {len(bench.places)} modules has a gradient that vanishes, misleads or jumps"
            raise DoesNotApplyError(msg)
        if not through:
            msg = f"no identity can stand for another shape: {'; '.join(map(str, flagged[:3]))}"
            raise DoesNotApplyError(msg)
        with straight_through(bench.model, through):
            tried = bench.tried(bench.claim.made())
        return replace(tried, note="through " + ", ".join(place.name for place in through))


class Ensemble(Rung):
    """AutoAttack."""

    name, change, costly, in_ensembles = "autoattack", "AutoAttack", True, True

    def tried(self, bench: Bench) -> Tried:
        """Attack with AutoAttack; its version for networks that draw random numbers where this one does."""
        effort = bench.effort
        version: Any = "rand" if bench.randomness.yes else effort.version
        much: dict[str, Any] = {"steps": effort.apgd_steps, "targets": effort.targets, "queries": effort.queries}
        much |= {"eot": effort.averaged} if bench.randomness.yes else {}
        attack = AutoAttack(**bench.claim.given(AutoAttack, "autoattack"), version=version, **much)
        said = ", ".join(f"{name} {value}" for name, value in much.items())
        return replace(bench.tried(attack), note=f"version {version}, {said}")


LADDER: tuple[Rung, ...] = (
    Own(), Longer(), Margin(), Dlr(), RescaledLogits(), InnerLogits(), DoublePrecision(), SmoothedLogits(), Apgd(),
    Restarts(), Targeted(), Expectation(), Transfer(), Adaptive(), StraightThrough(), BlackBox(), Ensemble(),
)  # fmt: skip
"""In the order in which they are climbed: cheap ones first."""
