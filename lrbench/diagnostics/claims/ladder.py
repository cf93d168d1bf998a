"""Climbing the ladder: what became of every rung, alone and together with those before."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from lrbench.diagnostics.claims.bench import Bench, Tried
from lrbench.diagnostics.claims.places import Place
from lrbench.diagnostics.claims.rung import DoesNotApplyError, Rung
from lrbench.diagnostics.claims.rungs import LADDER, StraightThrough
from lrbench.statistics import mcnemar, wilson
from lrbench.statistics.tango import interval

Known = Mapping[str, Mapping[str, Any]]
"""Rung -> what was kept of it."""

Keep = Callable[[str, dict[str, Any]], object]


@dataclass(frozen=True)
class Share:
    """A share of the images, in [0, 1], with its 95 % interval (Wilson's)."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, mask: Tensor) -> "Share":
        """Count where a mask holds."""
        value = float(mask.double().mean())
        return cls(value, *wilson(value, len(mask)))

    def __str__(self) -> str:
        """Write in percent."""
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"


@dataclass(frozen=True)
class Climbed:
    """What a rung came to.

    Attributes
    ----------
    name, change : str
        As of its class.
    tried : Tried, optional
        None where it was not tried.
    reason : str
        Why it was not.
    alone : Share, optional
        Robust accuracy under this attack alone.
    worst : Share, optional
        Under it and all before.
    less : float
        Robust accuracy under the claim's own attack minus that under this one, in [-1, 1].
    less_interval : (float, float)
        95 %, on the same images (Tango's).
    p : float
        That both are equally strong (McNemar's exact test).
    """

    name: str
    change: str
    tried: Tried | None = None
    reason: str = ""
    alone: Share | None = None
    worst: Share | None = None
    less: float = 0.0
    less_interval: tuple[float, float] = (0.0, 0.0)
    p: float = 1.0


@dataclass
class Ladder:
    """All rungs on one network.

    Attributes
    ----------
    rungs : list of Climbed
        In order.
    places : dict of float
        Modules at which gradients vanish, mislead or jump, or that draw random numbers: a line each -> the share that
        lies in leaps or is unexplained; 1 of what is random.
    """

    rungs: list[Climbed] = field(default_factory=list)
    places: dict[str, float] = field(default_factory=dict)
    _fooled: Tensor | None = None

    @property
    def tried(self) -> dict[str, Climbed]:
        """Rungs that were tried, by name."""
        return {each.name: each for each in self.rungs if each.tried is not None}

    @property
    def fooled(self) -> Tensor:
        """Misclassified under some rung, (N,), bool."""
        assert self._fooled is not None  # noqa: S101
        return self._fooled

    def add(self, rung: Rung, tried: Tried) -> None:
        """Put a rung's outcome on top."""
        fooled = tried.fooled
        self._fooled = fooled if self._fooled is None else self._fooled | fooled
        own = self.tried["own"].tried if self.rungs else tried
        assert own is not None  # noqa: S101
        more, less = int((fooled & ~own.fooled).sum()), int((own.fooled & ~fooled).sum())
        n = len(fooled)
        self.rungs.append(
            Climbed(
                rung.name, rung.change, tried, "", Share.of(~fooled), Share.of(~self.fooled),
                (more - less) / n, interval(more, less, n), mcnemar(more, less),
            )
        )  # fmt: skip


def climbed(
    bench: Bench, known: Known, keep: Keep, progress: Callable[[float, str], None], *, whole: bool = False
) -> Ladder:
    """Climb the ladder.

    Where nothing withstands the claim's own attack, the rest is not tried; where nothing has withstood the rungs so
    far, the costly ones are not, unless the `whole` is asked for.

    Parameters
    ----------
    bench : Bench
    known : mapping
        Rungs that were climbed before, as `keep` was told of them.
    keep : callable
        Told of every rung, with what can be written as JSON.
    progress : callable
        Told the share that is done, and what comes next.
    whole : bool
    """
    ladder = Ladder()
    for index, rung in enumerate(LADDER):
        progress(index / len(LADDER), rung.change)
        if ladder.rungs and not whole and (reason := _needless(rung, ladder)):
            ladder.rungs.append(Climbed(rung.name, rung.change, reason=reason))
            continue
        content = known.get(rung.name)
        if content is None:
            content = _climb(rung, bench)
            keep(rung.name, dict(content))
        ladder.places |= content.get("places", {})
        if "reason" in content:
            ladder.rungs.append(Climbed(rung.name, rung.change, reason=content["reason"]))
        else:
            ladder.add(rung, _read(content, bench))
    progress(1.0, "")
    return ladder


def _needless(rung: Rung, ladder: Ladder) -> str:
    own = ladder.tried["own"].alone
    if own is not None and own.value == 0:
        return "nothing withstood the claim's own attack"
    return "nothing withstood the rungs before" if rung.costly and bool(ladder.fooled.all()) else ""


def _climb(rung: Rung, bench: Bench) -> dict[str, Any]:
    try:
        tried = rung.climb(bench)
    except DoesNotApplyError as error:
        content: dict[str, Any] = {"reason": str(error)}
    else:
        content = {**asdict(tried), "fooled": tried.fooled.nonzero().squeeze(1).tolist()}
    return {**content, "places": dict(_said(bench.places))} if isinstance(rung, StraightThrough) else content


def _said(places: list[Place]) -> Iterator[tuple[str, float]]:
    for place in places:
        if place.flagged or place.random:
            yield str(place), 1.0 if place.random else max(place.leaps, place.unexplained)


def _read(content: Mapping[str, Any], bench: Bench) -> Tried:
    fooled = torch.zeros(len(bench.y), dtype=torch.bool, device=bench.y.device)
    fooled[torch.tensor(content["fooled"], dtype=torch.int64, device=bench.y.device)] = True
    spent = {name: float(content[name]) for name in ("forward", "backward", "seconds")}
    return Tried(fooled, **spent, note=str(content["note"]))
