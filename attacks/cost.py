"""What an attack costs, in forward-and-backward passes an image."""

import math
from collections.abc import Mapping
from typing import Any

from .arguments import ELSEWHERE

FORWARD = 0.4
"""Of a forward and a backward pass."""

BACKWARD = 1 - FORWARD

CLASSES = 10
"""Assumed where a pass is made for each."""

TIMES = ("steps", "restarts", "eot", "targets", "searches", "init_eval", "num_trial")
"""Counts that multiply each other, in the words of `arguments`, and those for which only other libraries have words."""


def passes_of(options: Mapping[str, Any], *, gradients: bool) -> float:
    """Estimate passes from what options are usually called; 1 where none of them says anything."""
    counts = {ELSEWHERE.get(name, name): count for name, count in options.items() if type(count) is int and count > 0}
    times = math.prod(counts.get(each, 1) for each in TIMES) if "steps" in counts else 0
    return max(1.0, times * (1.0 if gradients else FORWARD) + FORWARD * counts.get("queries", 0))
