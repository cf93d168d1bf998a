"""Correction for looking at several comparisons at once."""

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p-values of a family of comparisons (Holm, 1979), each in its place.

    Whatever the tests' dependence, the chance that any true null hypothesis of the family has an adjusted p below a
    level is at most that level.

    Parameters
    ----------
    p : sequence of float in [0, 1]
        Raw p-values; may be empty.

    Raises
    ------
    ValueError
        If one is not in [0, 1].
    """
    if not all(0 <= each <= 1 for each in p):
        msg = f"expected p-values in [0, 1], got {list(p)}"
        raise ValueError(msg)
    # statsmodels' multipletests collects garbage whenever it is called, which takes up to a second beside torch.
    raw = np.asarray(p, float)
    order = np.argsort(raw)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, raw[order] * np.arange(len(raw), 0, -1)))
    return [float(each) for each in adjusted]
