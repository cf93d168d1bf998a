"""Two paired proportions, one sample: Tango's score interval, and the score test that agrees with it.

Tango, *Equivalence test and confidence interval for the difference in proportions for the paired-sample design*,
Statistics in Medicine 17 (1998) 891-908. At no difference its statistic is McNemar's without a correction.
"""

import math

from scipy import special

from lrbench.statistics.proportion import Z_95


def score_p(more: int, less: int) -> float:
    """Two-sided p that the proportions are equal (McNemar, 1947).

    Parameters
    ----------
    more, less : int
        Pairs of which only the first, or only the second, is a success.
    """
    if more == less:
        return 1.0
    return float(2 * special.ndtr(-abs(more - less) / math.sqrt(more + less)))


def interval(more: int, less: int, pairs: int) -> tuple[float, float]:
    """95 % interval of the first proportion minus the second; of no discordant pair -z^2 / (N + z^2) to its opposite.

    Parameters
    ----------
    more, less : int
        As in `score_p`.
    pairs : int, >= 1
        Of all kinds.
    """
    return -_upper(less, more, pairs), _upper(more, less, pairs)


def _upper(more: int, less: int, pairs: int) -> float:
    """Largest difference whose score test does not reject at 5 %."""
    if more == pairs:
        return 1.0
    # Loads slowly, and is not needed for a p-value.
    from scipy.optimize import brentq  # noqa: PLC0415

    at = (more - less) / pairs

    def excess(value: float) -> float:
        return (more - less - pairs * value) ** 2 - Z_95**2 * _variance(value, more, less, pairs)

    return float(brentq(excess, at + 1e-9, 1.0, xtol=1e-12))


def _variance(value: float, more: int, less: int, pairs: int) -> float:
    """Variance of more - less under a difference, with the other parameter at its maximum of the likelihood."""
    half = (2 * pairs - more + less) * value - more - less
    root = math.sqrt(max(half**2 + 8 * pairs * less * value * (1 - value), 0.0))
    rare = (root - half) / (4 * pairs)
    return pairs * (2 * rare + value * (1 - value))
