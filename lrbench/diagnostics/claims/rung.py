"""What a rung of the ladder is: an attack that changes one thing of the claim's own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any, ClassVar

import torch

from lrbench.attacks import PGD, Attack, AutoAttack
from lrbench.diagnostics.claims.bench import Bench, Tried
from lrbench.diagnostics.claims.claim import Claim

ENSEMBLES = (AutoAttack,)
"""Attacks that have longer, restarted, targeted and black-box ones among their members."""


PGD_OPTIONS = ("steps", "step_size", "random_start", "restarts", "eot")


class DoesNotApplyError(Exception):
    """A rung cannot be tried on this network, and says why."""


class Rung(ABC):
    """One attack of the ladder.

    Attributes
    ----------
    name : str
    change : str
        What it does otherwise than the claim's own attack.
    costly : bool
        Whether it is left out where nothing has withstood the rungs before.
    in_ensembles : bool
        Whether an ensemble such as AutoAttack does it already.
    """

    name: ClassVar[str]
    change: ClassVar[str]
    costly: ClassVar[bool] = False
    in_ensembles: ClassVar[bool] = False

    def climb(self, bench: Bench) -> Tried:
        """Try it.

        Raises
        ------
        DoesNotApplyError
            If it cannot be tried on this network, or says nothing new of it.
        """
        if self.in_ensembles and is_ensemble(bench.claim):
            msg = f"{bench.claim.attack} does it already"
            raise DoesNotApplyError(msg)
        return self.tried(bench)

    @abstractmethod
    def tried(self, bench: Bench) -> Tried:
        """Attack."""


def is_ensemble(claim: Claim) -> bool:
    """Whether a claim's attack has others among its members."""
    return isinstance(claim.factory, type) and issubclass(claim.factory, ENSEMBLES)


class Changed(Rung):
    """The claim's attack with an option changed; where it has no such option, PGD with it."""

    @abstractmethod
    def changes(self, bench: Bench) -> dict[str, Any]:
        """Give options and their new values."""

    def tried(self, bench: Bench) -> Tried:
        """Attack with other options."""
        attack, note = changed(bench, **self.changes(bench))
        tried = bench.tried(attack)
        return replace(tried, note="; ".join(each for each in (note, tried.note) if each))


def changed(bench: Bench, **changes: Any) -> tuple[Attack, str]:  # noqa: ANN401
    """Give the claim's attack with these options, or PGD with them; and what has to be said of it.

    Raises
    ------
    DoesNotApplyError
        If it cannot be made on this network, or is the claim's own already.
    """
    claim = bench.claim
    takes = signature(claim.factory).parameters
    if all(name in takes for name in changes):
        known = {name: claim.options.get(name, takes[name].default) for name in changes}
        if known == changes:
            msg = "the claim's own attack has it"
            raise DoesNotApplyError(msg)
        return fit(bench, claim.made(**changes)), ""
    lacks = next(name for name in changes if name not in takes)
    attack = PGD(**claim.given(PGD, "pgd"), **{**_as_pgd(claim.made(), changes), **changes})
    return fit(bench, attack), f"PGD of {attack.steps} steps, since {claim.attack} has no `{lacks}`"


def _as_pgd(attack: Attack, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Give the options by which PGD does what a form of it does, such as a single step; none of other attacks."""
    if not isinstance(attack, PGD):
        return {}
    kept = ("steps", "random_start", "restarts", "eot") if "steps" in changes else PGD_OPTIONS
    return {name: getattr(attack, name) for name in kept}


def fit(bench: Bench, attack: Attack) -> Attack:
    """Give an attack back that can be made on this network.

    Raises
    ------
    DoesNotApplyError
        If it cannot.
    """
    reason = attack.unfit(bench.classes, tuple(bench.x.shape[1:]))
    if reason is not None:
        raise DoesNotApplyError(reason)
    return attack


def joined(tried: list[Tried]) -> Tried:
    """Put attacks together: an image is fooled where one of them fooled it."""
    fooled = torch.stack([each.fooled for each in tried]).any(dim=0)
    forward, backward, seconds = (sum(getattr(t, name) for t in tried) for name in ("forward", "backward", "seconds"))
    return Tried(fooled, forward, backward, seconds, "; ".join(dict.fromkeys(t.note for t in tried if t.note)))
