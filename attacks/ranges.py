"""Arguments held to be in range, each named by its keyword."""

import math

from .inputs import Bounds

HUGE = 1e18
"""Largest number that an argument may be: its square is finite in float32."""


def at_least(least: int, **counts: int) -> None:
    """Raise ValueError for a count that is no whole number or below the least one, with its name."""
    for name, count in counts.items():
        if not hasattr(count, "__index__"):
            msg = f"{name} must be a whole number, got {count!r}"
            raise ValueError(msg)
        if count < least:
            msg = f"{name} must be at least {least}, got {count}"
            raise ValueError(msg)


def finite(*, above_zero: bool = False, **values: float) -> None:
    """Raise ValueError for what is no number, below 0, beyond `HUGE`, or, if it is to be above, 0, with its name."""
    for name, value in values.items():
        if not hasattr(value, "__float__"):
            msg = f"{name} must be a number, got {value!r:.80}"
            raise ValueError(msg)
        if not 0 <= value <= HUGE or (above_zero and value == 0):
            msg = f"{name} must be a finite number {'>' if above_zero else '>='} 0, at most {HUGE:g}, got {value:g}"
            raise ValueError(msg)


def check_ball(eps: float, bounds: Bounds | None, norm: str | None, **counts: int) -> None:
    """Raise ValueError unless radius, bounds and counts of iterations are in range."""
    finite(eps=eps)
    at_least(1, **counts)
    check_bounds(bounds)
    check_units(eps, bounds, norm)


def check_units(eps: float, bounds: Bounds | None, norm: str | None) -> None:
    """Raise ValueError for a radius in Linf within which every image lies: it was meant in other units."""
    if norm == "linf" and bounds is not None and eps > bounds[1] - bounds[0]:
        meant = f"; in levels from 0 to 255 that is eps={eps:g}/255" if bounds == (0.0, 1.0) and eps <= 255 else ""
        msg = f"eps is {eps:g}, and inputs in {bounds} differ by {bounds[1] - bounds[0]:g} at most{meant}"
        raise ValueError(msg)


def check_bounds(bounds: Bounds | None) -> None:
    """Raise ValueError unless bounds are finite and in order."""
    if bounds is not None and not -math.inf < bounds[0] < bounds[1] < math.inf:
        msg = f"bounds must be (low, high), finite, with low < high, or None for none, got {bounds}"
        raise ValueError(msg)
