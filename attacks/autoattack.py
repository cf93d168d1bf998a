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
from .fab import FAB
from .geometry import BALLS
from .inputs import Bounds
from .losses import misclassified
from .passes import logits_of
from .precision import Precision
from .prepared import Prepared
from .square import Square

Version = Literal["standard", "plus", "rand"]

MEMBERS: dict[str, tuple[str, ...]] = {
    "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "plus": ("apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"),
    "rand": ("apgd-ce", "apgd-dlr"),
}
"""Members of each version, in order."""

RESTARTS = {"standard": 1, "plus": 5, "rand": 1}
"""Of APGD and of FAB without targets."""

EOT = {"standard": 1, "plus": 1, "rand": 20}

PATCH = 0.8
"""Share of the image that Square's first patches cover, in every norm."""

RESTARTS_L1 = TARGETS_L1 = 5
"""Of APGD, and at most of APGD-T, in the standard version for L1."""


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

    Parameters
    ----------
    eps : float, >= 0
        Radius, in the units of the space attacked.
    version : {"standard", "plus", "rand"}
        standard: APGD-CE, APGD-T, FAB-T, Square. plus: APGD-CE and APGD-DLR of five restarts, FAB of five restarts,
        Square, APGD-T, FAB-T. rand, for models that draw random numbers: APGD-CE and APGD-DLR, 20 passes a gradient.
    norm : {"linf", "l2", "l1"}
    steps : int, >= 1
        Iterations of a run of APGD or FAB.
    targets : int, >= 1
        Wrong classes tried by APGD-T and FAB-T; by APGD-T in the standard version for L1 five at most.
    queries : int, >= 1
        Of Square. Its patches shrink as they would within 10,000 queries, however few there are.
    eot : int, >= 1, optional
        Passes whose gradients APGD averages. Default: the version's.
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
        self.eps, self.version, self.norm, self.bounds = eps, version, norm, bounds
        larger = norm == "l1" and version == "standard"
        restarts, passes = RESTARTS_L1 if larger else RESTARTS[version], EOT[version] if eot is None else eot
        common = {"norm": norm, "precision": precision, "seed": seed, "bounds": bounds}
        apgd = common | {"steps": steps, "eot": passes, "larger_radii": larger}
        fab = common | {"steps": steps, "start_radius": eps or None, "enough": eps, "searches": 0}
        made: dict[str, Attack] = {
            "apgd-ce": APGD(eps, restarts=restarts, **apgd),  # type: ignore[arg-type]
            "apgd-dlr": APGD(eps, loss="dlr", restarts=restarts, **apgd),  # type: ignore[arg-type]
            "apgd-t": TargetedAPGD(eps, targets=min(targets, TARGETS_L1) if larger else targets, **apgd),  # type: ignore[arg-type]
            "fab": FAB(targeted=False, restarts=restarts, **fab),  # type: ignore[arg-type]
            "fab-t": FAB(targets=targets, **fab),  # type: ignore[arg-type]
            "square": Square(eps, queries, patch=PATCH, rescale=False, **common),  # type: ignore[arg-type]
        }
        self.members = {name: made[name] for name in MEMBERS[version]}

    @property
    def passes(self) -> Passes:
        """Those of its members, a look at the image and one at what each of them found."""
        return LOOK + Passes.sum(LOOK + member.passes for member in self.members.values())

    @property
    def most(self) -> Passes:
        """In bfloat16, what its members can take."""
        return LOOK + Passes.sum(LOOK + member.most for member in self.members.values())

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
        rows = (~misclassified(logits, y)).nonzero().squeeze(1)
        for name, member in self.members.items():
            if not len(rows):
                return
            if name in left_out:
                continue
            tried = member.run(member.sees(model), x[rows], y[rows])
            # FAB looks for the closest point, which may lie outside the ball.
            tried = BALLS[self.norm].project(tried, x[rows], self.eps, self.bounds)
            fooled = misclassified(logits_of(real, tried), y[rows])
            yield name, rows[fooled], tried[fooled]
            rows = rows[~fooled]
