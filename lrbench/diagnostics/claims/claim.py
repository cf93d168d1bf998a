"""A claim: so much accuracy is left under such an attack."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import yaml

from lrbench.attacks import Attack, Bounds
from lrbench.catalogue import ATTACKS
from lrbench.errors import UsageError
from lrbench.names import radius_text
from lrbench.options import OptionError, check_options
from lrbench.supplied import supplied_to

FORM = 'a claim is "ATTACK, OPTION VALUE, ..., RADIUS: PERCENT LEFT", such as "pgd, steps 20, 8/255: 78.5"'

RADIUS = re.compile(r"[0-9.]+(e-?[0-9]+)?(\s*/\s*[0-9.]+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """What somebody says of a network.

    Attributes
    ----------
    attack : str
        As a suite names it.
    eps : float
        Radius, in the units of the space attacked.
    robust_accuracy : float, optional
        In percent; None where no figure is claimed.
    options : mapping
        Of the attack.
    norm : {"linf", "l2", "l1"}
    space : {"pixel", "normalized"}
        In which the radius is; in normalised space there are no bounds.
    source : str
        Where it is claimed.
    """

    attack: str
    eps: float
    robust_accuracy: float | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    norm: str = "linf"
    space: str = "pixel"
    source: str = ""

    @property
    def bounds(self) -> Bounds | None:
        """Valid range of an entry."""
        return (0.0, 1.0) if self.space == "pixel" else None

    @property
    def label(self) -> str:
        """What tables call it: "pgd, steps 20, 8/255"."""
        options = [f"{name} {value}" for name, value in self.options.items()]
        return ", ".join([self.attack, *options, radius_text(self.eps, self.norm, self.space)])

    @property
    def factory(self) -> Any:  # noqa: ANN401
        """What makes the attack."""
        return ATTACKS[self.attack].load()

    def made(self, **changes: Any) -> Attack:  # noqa: ANN401
        """Make the attack, with some of its options changed.

        Raises
        ------
        ValueError
            If it does not fit the norm, or refuses an option.
        """
        attack: Attack = self.factory(**self.given(self.factory, self.attack), **{**self.options, **changes})
        return attack

    def given(self, factory: Any, name: str) -> dict[str, Any]:  # noqa: ANN401
        """Give what an attack takes of radius, norm and bounds.

        Raises
        ------
        ValueError
            If it is made for another norm.
        """
        return supplied_to(factory, name, self.norm, {"eps": self.eps, "bounds": self.bounds})

    def check(self) -> None:
        """Hold the attack and its options against what there is.

        Raises
        ------
        UsageError
            With what is wrong, and what would be right.
        """
        try:
            check_options(self.factory, dict(self.options), ATTACKS.supplied, ("norm", "space"))
            self.made()
        except (OptionError, ValueError, TypeError) as error:
            where = f", {error.option}" if isinstance(error, OptionError) else ""
            msg = f"claim, {self.attack}{where}: {error}"
            raise UsageError(msg) from error

    @classmethod
    def parse(cls, text: str) -> "Claim":
        """Read a claim such as "pgd, steps 20, 8/255: 78.5"; of `read`, made ready.

        Raises
        ------
        UsageError
            If it is none.
        """
        said = read(text)
        options = dict(said["attack"])
        claim = cls(
            options.pop("name"),
            said["eps"],
            said.get("robust_accuracy"),
            MappingProxyType(options),
            said.get("norm", "linf"),
            said.get("space", "pixel"),
            said.get("source", ""),
        )
        claim.check()
        return claim


def read(text: str) -> dict[str, Any]:
    """Read a claim as a suite would have it: attack with its options, eps, robust_accuracy; norm and space if said.

    Raises
    ------
    UsageError
        If it has no attack, no radius or two, or a figure that is no percentage.
    """
    if not isinstance(text, str):
        msg = f"{FORM}; got {type(text).__name__}"
        raise UsageError(msg)
    # An attack's name may hold a colon, and no figure a comma.
    head, colon, figure = text.rpartition(":")
    if not colon or "," in figure or not re.fullmatch(r"\s*[0-9.]+\s*%?\s*", figure):
        head, figure = text, ""
    parts = [part.strip() for part in head.split(",")]
    radii = [part for part in parts[1:] if RADIUS.fullmatch(part)]
    if not parts[0] or len(radii) != 1:
        msg = f"{text!r:.100}: {'no attack' if not parts[0] else f'{len(radii)} radii'}; {FORM}"
        raise UsageError(msg)
    options: dict[str, Any] = dict(_option(text, part) for part in parts[1:] if part not in radii)
    said: dict[str, Any] = {key: str(options.pop(key)) for key in ("norm", "space", "source") if key in options}
    found = {"attack": {"name": parts[0], **options}, "eps": _number(text, radii[0]), **said}
    return found if not figure else {**found, "robust_accuracy": _percent(text, figure)}


def _option(text: str, part: str) -> tuple[str, Any]:
    found = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)\s*[ =]\s*(\S.*)", part)
    if found is None:
        msg = f"{text!r:.100}: {part!r:.40} is no radius, and no option with its value; {FORM}"
        raise UsageError(msg)
    try:
        return found[1], yaml.safe_load(found[2])
    except yaml.YAMLError:
        return found[1], found[2]


def _number(text: str, radius: str) -> float:
    above, _, below = radius.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        msg = f"{text!r:.100}: {radius!r:.40} is no radius; {FORM}"
        raise UsageError(msg) from None


def _percent(text: str, figure: str) -> float:
    try:
        share = float(figure.strip().removesuffix("%"))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        msg = f"{text!r:.100}: the robust accuracy is a percentage from 0 to 100; {FORM}"
        raise UsageError(msg)
    return share
