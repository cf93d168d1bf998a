"""AutoAttack: an ensemble of attacks, each on what has withstood those before.

Source: Croce and Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks*, 2020; the versions are those of the authors' code (fra31/auto-attack), member by member.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from .apgd import APGD
from .apgd_targeted import TargetedAPGD
from .base import Attack, named
from .cost import LOOK, Passes
from .doubt import COST, Rises, doubted
from .fab import FAB
from .geometry import BALLS
from .inputs import Bounds
from .losses import margin, misclassified
from .passes import logits_of
from .precision import Precision
from .prepared import Prepared
from .square import Square

Version = Literal["standard", "plus", "rand", "fast"]

STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
SHORT = ("apgd-ce-short", "apgd-t-nearest", "square-short")
MEMBERS: dict[str, tuple[str, ...]] = {
    "standard": STANDARD,
    "plus": ("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"),
    "rand": ("apgd-ce", "apgd-dlr"),
    "fast": SHORT + STANDARD,
}
"""Members of each version, in order. Those of the standard version see in the fast one what is in doubt alone."""

RESTARTS = {"standard": 1, "plus": 5, "rand": 1, "fast": 1}
"""Of APGD and of FAB without targets."""

EOT = {"standard": 1, "plus": 1, "rand": 20, "fast": 1}

PATCH = 0.8
"""Share of the image that Square's first patches cover, in every norm."""

RESTARTS_L1 = TARGETS_L1 = 5
"""Of APGD, and at most of APGD-T, in the standard version for L1."""

STEPS_SHORT, TARGETS_NEAREST, QUERIES_SHORT = 10, 3, 100
"""At most, of the fast version's own members: steps of APGD-CE, targets of APGD-T, queries of Square."""


class LeftOutWarning(UserWarning):
    """Members of AutoAttack were left out, since they cannot be made on this model."""


@named("autoattack")
class AutoAttack(Attack):
    """APGD-CE, APGD-T, FAB-T and Square, each on what has withstood those before.

    With the defaults it is the standard version, and with fewer steps, targets or queries it is not. A member that
    cannot be made on the model is left out, with a warning (`LeftOutWarning`): the DLR loss needs three classes, its
    targeted form four, and Square images. What a member finds is projected into the ball and counts if the model
    itself, not a copy that was made ready for speed, misclassifies it there. An image leaves a member at the step at
    which it falls. As in the authors' code, the standard version for L1 has APGD-CE of five restarts and APGD-T towards
    five classes, both from larger radii (`larger_radii` of `APGD`); the other versions have what they have elsewhere.

    The fast version is not what publications call AutoAttack. It has APGD-CE of ten steps, APGD-T on the margin towards
    the three classes whose boundaries are nearest, and Square of 100 queries. Where gradients say little
    (`lrbench.attacks.doubt`), it goes on with the whole standard version, so that no such image withstands it that does
    not withstand the standard version.

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    version : {"standard", "plus", "rand", "fast"}
        standard: APGD-CE, APGD-T, FAB-T, Square. plus: APGD-CE and APGD-DLR of five restarts, FAB of five restarts,
        Square, APGD-T, FAB-T. rand, for models that draw random numbers: APGD-CE and APGD-DLR, 20 passes a gradient.
        fast: to know soon about what the standard version would say, above all of networks that many images withstand.
    norm : {"linf", "l2", "l1"}
    steps : int, >= 1
        Iterations of a run of APGD or FAB.
    targets : int, >= 1
        Wrong classes tried by APGD-T and FAB-T; by APGD-T in the standard version for L1 five at most.
    queries : int, >= 1
        Of Square. Its patches shrink as they would within 10,000 queries, however few there are.
    eot : int, >= 1, optional
        Passes whose gradients APGD averages. Default: the version's. Not for the fast version.
    precision : {"float32", "bfloat16"}
        Of the members' passes, as of `APGD`, `FAB` and `Square`; in bfloat16 this is not the standard version.
    seed : int
    bounds : (float, float) or None
        Valid range of an entry.

    Attributes
    ----------
    members : dict
        Name -> attack, in order.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    effort: ClassVar[str | None] = None
    standard: ClassVar[Mapping[str, Any] | None] = {"eot": 1}

    def __init__(  # noqa: PLR0913
        self,
        eps: float,
        *,
        version: Version = "standard",
        norm: Literal["linf", "l2", "l1"] = "linf",
        steps: int = 100,
        targets: int = 9,
        queries: int = 5000,
        eot: int | None = None,
        precision: Precision = "float32",
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        if version not in MEMBERS:
            msg = f"version must be one of {', '.join(MEMBERS)}, got {version!r}"
            raise ValueError(msg)
        if version == "fast" and eot not in {None, 1}:
            msg = f"version fast is for models that draw no random numbers: it takes no eot above 1, got {eot}"
            raise ValueError(msg)
        self.eps, self.version, self.norm, self.bounds = eps, version, norm, bounds
        larger = norm == "l1" and version in {"standard", "fast"}
        restarts, passes = RESTARTS_L1 if larger else RESTARTS[version], EOT[version] if eot is None else eot
        common = {"norm": norm, "precision": precision, "seed": seed, "bounds": bounds}
        apgd = common | {"steps": steps, "eot": passes, "larger_radii": larger}
        fab = common | {"steps": steps, "start_radius": eps or None, "enough": eps, "searches": 0}
        made: dict[str, Attack] = {
            "apgd-ce": APGD(eps, restarts=restarts, **apgd),  # type: ignore[arg-type]
            "apgd-ce-short": APGD(eps, **apgd | {"steps": min(steps, STEPS_SHORT)}),  # type: ignore[arg-type]
            "apgd-t-nearest": TargetedAPGD(
                eps,
                targets=min(targets, TARGETS_NEAREST),
                loss="margin",
                order="nearest",
                **apgd,  # type: ignore[arg-type]
            ),
            "square-short": Square(eps, min(queries, QUERIES_SHORT), **common),  # type: ignore[arg-type]
            "apgd-dlr": APGD(eps, loss="dlr", restarts=restarts, **apgd),  # type: ignore[arg-type]
            "apgd-t": TargetedAPGD(eps, targets=min(targets, TARGETS_L1) if larger else targets, **apgd),  # type: ignore[arg-type]
            "fab": FAB(targeted=False, restarts=restarts, **fab),  # type: ignore[arg-type]
            "fab-t": FAB(targets=targets, **fab),  # type: ignore[arg-type]
            "square": Square(eps, queries, patch=PATCH, rescale=False, **common),  # type: ignore[arg-type]
        }
        self.members = {name: made[name] for name in MEMBERS[version]}

    @property
    def passes(self) -> Passes:
        """Those of its members, a look at the image and one at what each of them found.

        In the fast version, of an image that is not in doubt.
        """
        fast = self.version == "fast"
        made = [member.passes for name, member in self.members.items() if not fast or name in SHORT]
        return LOOK + Passes.sum(LOOK + each for each in made) + (COST if fast else Passes())

    @property
    def most(self) -> Passes:
        """What all its members can take."""
        known = COST if self.version == "fast" else Passes()
        return LOOK + Passes.sum(LOOK + member.most for member in self.members.values()) + known

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Attack in turn."""
        found = x.clone()
        for _, rows, points in self.rounds(model, x, y):
            found[rows] = points
        return found

    def left_out(self, classes: int, shape: tuple[int, ...]) -> dict[str, str]:
        """Give the members that cannot be made on a model of so many classes, with inputs of a shape, and why."""
        reasons = {name: member.unfit(classes, shape) for name, member in self.members.items()}
        return {name: f"{name}, since {reason}" for name, reason in reasons.items() if reason is not None}

    def rounds(self, model: nn.Module, x: Tensor, y: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Give member by member its name, the rows that it fooled, and the points it found for them.

        Parameters are those of `run`. A member is not asked where nothing has withstood the ones before.
        """
        real = model.unfolded if isinstance(model, Prepared) else model
        logits = logits_of(real, x)
        left_out = self.left_out(logits.shape[1], tuple(x.shape[1:]))
        if left_out:
            warnings.warn(f"AutoAttack without {'; '.join(left_out.values())}", LeftOutWarning, stacklevel=2)
        rows, rises = (~misclassified(logits, y)).nonzero().squeeze(1), Rises(margin(logits, y))
        for name, member in self.members.items():
            if self.version == "fast" and name == STANDARD[0] and len(rows):
                doubt = doubted(model, x[rows], y[rows], self.eps, BALLS[self.norm], self.bounds)
                rows = rows[doubt | rises.outdone(rows)]
            if not len(rows):
                return
            if name in left_out:
                continue
            tried = member.run(member.sees(model), x[rows], y[rows])
            # FAB looks for the closest point, which may lie outside the ball.
            tried = BALLS[self.norm].project(tried, x[rows], self.eps, self.bounds)
            reached = logits_of(real, tried)
            rises.note(rows, margin(reached, y[rows]), gradients=member.needs_gradients)
            fooled = misclassified(reached, y[rows])
            yield name, rows[fooled], tried[fooled]
            rows = rows[~fooled]
