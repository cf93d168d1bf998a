"""Shares as they are written everywhere: in percent or points, to a tenth, halves away from zero."""

import math
from decimal import ROUND_HALF_UP, Decimal

HUGE = 1e9
"""Beyond it a share is nonsense, and need not be rounded exactly."""


def in_percent(share: float) -> str:
    """Write a share in percent, to a tenth."""
    return _tenths(share, "")


def in_points(share: float) -> str:
    """Write a difference of shares in points, to a tenth, with its sign."""
    return _tenths(share, "+")


def _tenths(share: float, sign: str) -> str:
    """Round as people do: four seeds of 500 images have halves of a tenth, which binary numbers round up or down."""
    share = float(share)
    if not math.isfinite(share) or abs(share) > HUGE:
        return f"{100 * share:{sign}.1f}"
    # Equal means may differ in their last bit.
    exact = Decimal(repr(round(share, 12) + 0.0)).scaleb(2)
    return f"{exact.quantize(Decimal('0.1'), ROUND_HALF_UP):{sign}}"
