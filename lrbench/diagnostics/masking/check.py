"""What a check is, and the register of all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lrbench.diagnostics.masking.subject import Subject

Severity = Literal["suspicious", "broken"]
"""A condition under which attacks are known to fail; or figures that contradict each other, so that one did fail."""


class Measured(NamedTuple):
    """What a check found: its figure, and whether that is past the check's limit."""

    figure: float
    flagged: bool


@dataclass(frozen=True)
class Check:
    """A question about a model under attack.

    Attributes
    ----------
    id : str
    severity : {"suspicious", "broken"}
    condition : str
        What the figure is, and from where on it is flagged.
    explanation : str
        What it means.
    advice : str
        What to do.
    measure : callable
    """

    id: str
    severity: Severity
    condition: str
    explanation: str
    advice: str
    measure: Callable[[Subject], Measured]


@dataclass(frozen=True)
class Finding:
    """A check's result on a model."""

    check: Check
    figure: float
    flagged: bool


CHECKS: dict[str, Check] = {}


def check(
    name: str, severity: Severity, *, condition: str, explanation: str, advice: str
) -> Callable[[Callable[[Subject], Measured]], Callable[[Subject], Measured]]:
    """Register a function as a check."""

    def register(measure: Callable[[Subject], Measured]) -> Callable[[Subject], Measured]:
        CHECKS[name] = Check(name, severity, condition, explanation, advice, measure)
        return measure

    return register
