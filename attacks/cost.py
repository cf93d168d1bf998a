"""What an attack costs: how often an image passes the model, forwards and backwards."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .arguments import ELSEWHERE

FORWARD = 0.4
"""Of the work of a forward and a backward pass."""

CLASSES = 10
"""Assumed where a pass is made for each."""

TIMES = ("steps", "restarts", "eot", "targets", "searches", "init_eval", "num_trial")
"""Counts that multiply each other, in the words of `arguments`, and those for which only other libraries have words."""


@dataclass(frozen=True)
class Passes:
    """How often an image passes a model.

    Attributes
    ----------
    forward, backward : float
    """

    forward: float = 0.0
    backward: float = 0.0

    def __add__(self, other: "Passes") -> "Passes":
        """Make these and then the others."""
        return Passes(self.forward + other.forward, self.backward + other.backward)

    def __rmul__(self, times: float) -> "Passes":
        """Make them so many times."""
        return Passes(times * self.forward, times * self.backward)

    @property
    def total(self) -> float:
        """Forward and backward passes."""
        return self.forward + self.backward

    @property
    def work(self) -> float:
        """In units of a forward and a backward pass."""
        return FORWARD * self.forward + (1 - FORWARD) * self.backward

    @classmethod
    def sum(cls, each: Iterable["Passes"]) -> "Passes":
        """Make one after the other."""
        return sum(each, cls())

    @classmethod
    def read(cls, said: Any) -> "Passes":  # noqa: ANN401
        """Read what somebody's attack says: this, or a number of passes forwards and back."""
        if isinstance(said, cls):
            return said
        number = float(said)
        return max(0.0, number) * GRADIENT if math.isfinite(number) else GRADIENT


LOOK = Passes(forward=1)
"""A pass for the logits alone."""

GRADIENT = Passes(forward=1, backward=1)


def passes_of(options: Mapping[str, Any], *, gradients: bool) -> Passes:
    """Estimate passes from what options are usually called; one gradient where none of them says anything."""
    counts = {ELSEWHERE.get(name, name): count for name, count in options.items() if type(count) is int and count > 0}
    times = math.prod(counts.get(each, 1) for each in TIMES) if "steps" in counts else 0
    found = times * (GRADIENT if gradients else LOOK) + counts.get("queries", 0) * LOOK
    return found if found.total else GRADIENT
