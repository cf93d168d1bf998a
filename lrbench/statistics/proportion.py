"""A proportion's interval and its exact bound, and the exact test that two paired proportions are equal."""

import math

from scipy import special

Z_95 = 1.959963984540054


def wilson(proportion: float, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson, 1927; Brown, Cai and DasGupta, 2001).

    Parameters
    ----------
    proportion : float in [0, 1]
    n : int, >= 1
        Number of independent trials.
    z : float
        Normal quantile; the default gives 95 %.

    Raises
    ------
    ValueError
        If the proportion is not in [0, 1] or n below 1.
    """
    if not 0 <= proportion <= 1 or n < 1:
        msg = f"expected a proportion in [0, 1] and n >= 1, got {proportion} and {n}"
        raise ValueError(msg)
    centre = proportion + z * z / (2 * n)
    spread = z * math.sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends the bound is the proportion itself; rounding would put it beside.
    low = 0.0 if proportion == 0 else (centre - spread) / scale
    high = 1.0 if proportion == 1 else (centre + spread) / scale
    return low, high


def clopper_pearson(successes: int, n: int, alpha: float) -> float:
    """Give a proportion's exact lower bound, one-sided, at confidence 1 - alpha (Clopper and Pearson, 1934).

    Parameters
    ----------
    successes : int, 0 to n
    n : int, >= 1
        Number of independent trials.
    alpha : float, in (0, 1)

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    if not 0 <= successes <= n or n < 1 or not 0 < alpha < 1:
        msg = f"expected 0 <= successes <= n, n >= 1 and alpha in (0, 1), got {successes}, {n} and {alpha}"
        raise ValueError(msg)
    return float(special.betaincinv(successes, n - successes + 1, alpha)) if successes else 0.0


def failures(certificates: int, alpha: float, confidence: float = 0.999) -> int:
    """Give how many of some certificates may be wrong at most, at a confidence.

    Each fails with probability at most alpha, and the draws of different images are independent.
    """
    counts = range(certificates + 1)
    return next(count for count in counts if special.bdtr(count, certificates, alpha) >= confidence)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that two paired proportions are equal (McNemar, 1947, in its binomial form).

    Parameters
    ----------
    only_first, only_second : int
        Pairs of which only the first, or only the second, is a success.
    """
    discordant = only_first + only_second
    smaller = min(only_first, only_second)
    tail = sum(math.comb(discordant, count) for count in range(smaller + 1))
    return float(min(1.0, 2 * tail / 2**discordant))
