"""Numbers of any type as levels of 8 bits: what is black and white is known or asked for, never guessed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.errors import UsageError

Array = NDArray[Any]
Range = tuple[float, float]

BLOCK = 1024

ROUNDING = 1e-6
"""How far values may lie outside their range, as a share of it."""


class UnclearError(UsageError):
    """What arrays mean is left open; `found` says what they hold, and `what` is the key that would say it."""

    def __init__(self, found: str, what: str, remedy: str) -> None:
        super().__init__(found, what, remedy)
        self.found, self.what, self.remedy = found, what, remedy

    def __str__(self) -> str:
        return f"{self.found}; {self.remedy}"


def range_of(arrays: Mapping[str, Array], data_range: Sequence[float] | None = None) -> Range:
    """Give the values that stand for black and white in all of these arrays together.

    Parameters
    ----------
    arrays : mapping
        Name -> array of numbers or bool; all of one type.
    data_range : sequence of two floats, optional
        What the user says they are.

    Raises
    ------
    UsageError
        If they are neither plain nor given, values lie outside, or are NaN or infinite.
    """
    extremes = [_extremes(name, array) for name, array in arrays.items()]
    low, high = min(least for least, _ in extremes), max(most for _, most in extremes)
    dtype = next(iter(arrays.values())).dtype
    found = f"{' and '.join(arrays)} go from {low:.6g} to {high:.6g} ({dtype})"
    if data_range is not None:
        return _checked(data_range, low, high, found)
    plain = _plain(dtype, low, high)
    if plain == (0, 255) and dtype.kind == "f":
        dark = [name for name, (_, most) in zip(arrays, extremes, strict=True) if 0 < most <= 1 + ROUNDING]
        if dark:
            remedy = "bring both to one range, or say which values are black and white, such as `data_range: [0, 255]`"
            raise UnclearError(f"{found}, of which {dark[0]} goes up to 1 alone", "data_range", remedy)
    if plain is None:
        likely = "[0, 1]" if 0 <= low <= high <= 1 else "[-1, 1]" if -1 <= low <= high <= 1 else "[0, 255]"
        remedy = (
            "save the pixels as they were before they were normalised, or say which values are black and white, such "
            f"as `data_range: {likely}`"
        )
        raise UnclearError(found, "data_range", remedy)
    return plain


def eight_bits(array: Array, low: float, high: float) -> NDArray[np.uint8]:
    """Bring values from `low` to `high` to the nearest levels from 0 to 255."""
    if array.dtype == np.uint8 and (low, high) == (0, 255):
        return np.ascontiguousarray(array)
    levels = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), BLOCK):
        values = array[start : start + BLOCK].astype(np.float64)
        levels[start : start + BLOCK] = np.rint((values - low) * (255 / (high - low))).clip(0, 255)
    return levels


def _plain(dtype: np.dtype[Any], low: float, high: float) -> Range | None:
    """Give the range that type and values leave no doubt of: the brightest value lies in its upper half."""
    if low < 0:
        return None
    if high == 0 or dtype == np.bool_ or (dtype.kind == "f" and high <= 1 + ROUNDING):
        return 0, 1
    if dtype == np.uint8:
        # Zeros and ones are a mask that somebody saved as bytes, or pictures that are black.
        return None if high == 1 else (0, 255)
    top = 65535 if dtype == np.uint16 else 255
    return (0, top) if top / 2 < high <= top else None


def _checked(data_range: Sequence[float], low: float, high: float, found: str) -> Range:
    if len(data_range) != 2 or not all(math.isfinite(end) for end in data_range) or data_range[0] >= data_range[1]:
        msg = f"data_range must be [black, white], two numbers, the first the smaller, got {list(data_range)!s:.60}"
        raise UsageError(msg)
    slack = ROUNDING * (data_range[1] - data_range[0])
    if low < data_range[0] - slack or high > data_range[1] + slack:
        msg = f"{found}, outside `data_range: {list(data_range)}`"
        raise UsageError(msg)
    return data_range[0], data_range[1]


def _extremes(name: str, array: Array) -> Range:
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = np.isfinite(array).reshape(len(array), -1).all(1)
        msg = f"{name} holds NaN or infinity, first in image {int(finite.argmin())}; mend or leave out such images"
        raise UsageError(msg)
    return low, high
