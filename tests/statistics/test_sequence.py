"""Intervals that hold at every number of images at once, and what stopping by them is worth."""

import math

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import binom

from benchmarks.stopping import always, always_paired, drawn, paired, stopped
from lrbench.statistics import Stopping, difference_of, interval_of, tango, wilson
from lrbench.statistics import discordant as discordant_images
from lrbench.statistics.sequence import BEYOND, EDGE, EDGE_STAKE

RUNS, IMAGES = 2000, 1500
HELD = binom.ppf(0.001, RUNS, 0.95) / RUNS
"""Of 2,000 runs that each hold the true figure with a chance of 95 %, one in a thousand holds it less often."""


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.3, 0.5, 0.9])
def test_the_true_share_is_held_after_every_image_and_where_it_was_stopped(share):
    stopping = Stopping(0.05, IMAGES)
    outcomes = drawn(share, RUNS, IMAGES, seed=1)
    assert always(outcomes, share, stopping) >= HELD
    ended = stopped(outcomes, share, stopping, stopping.proportion)
    assert ended.holds.mean() >= HELD
    assert (ended.images < IMAGES).all()


@pytest.mark.parametrize(("discordance", "difference"), [(0.02, 0.0), (0.2, 0.05), (0.5, 0.1)])
def test_the_true_difference_is_held_after_every_image(discordance, difference):
    more, less = paired(discordance, difference, 1000, IMAGES, seed=1)
    assert always_paired(more, less, difference, Stopping(0.05, IMAGES)) >= binom.ppf(0.001, 1000, 0.95) / 1000


def test_wilson_does_not_hold_it_after_every_image():
    """What is allowed for is there: looked at after every image, an interval for one number of images fails."""
    n = np.arange(1, IMAGES + 1)
    shares = drawn(0.3, 500, IMAGES, seed=1).cumsum(axis=1) / n
    spread = 1.96 * np.sqrt(0.3 * 0.7 / n)
    assert (np.abs(shares - 0.3) < spread)[:, 50:].all(axis=1).mean() < 0.75


@pytest.mark.parametrize(("share", "n"), [(0.0, 250), (1.0, 250), (0.02, 700), (0.5, 1400), (0.731, 999), (0.5, 1)])
def test_an_interval_is_what_was_not_bet_away(share, n):
    stopping = Stopping(0.03, 2000)
    low, high = stopping.proportion(share, n)
    assert 0 <= low <= share <= high <= 1
    for value in np.linspace(0.0005, 0.9995, 1000):
        lost = max(stopping.stake(share, n, value), stopping.stake(1 - share, n, 1 - value)) >= BEYOND
        assert lost == (not low < value < high)
    assert stopping.proportion(1 - share, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_at_a_bound_a_stake_is_just_large_enough():
    stopping = Stopping(0.03, 2000)
    low, high = stopping.proportion(0.3, 700)
    assert stopping.stake(0.3, 700, low) == pytest.approx(BEYOND, abs=1e-6)
    assert stopping.stake(0.7, 700, 1 - high) == pytest.approx(BEYOND, abs=1e-6)
    low, high = stopping.difference(40, 20, 500)
    assert stopping.stake_on_difference(40, 20, 500, low) == pytest.approx(BEYOND, abs=1e-6)
    assert stopping.stake_on_difference(20, 40, 500, -high) == pytest.approx(BEYOND, abs=1e-6)


@pytest.mark.parametrize("until", [0.01, 0.05, 0.1])
def test_an_interval_of_just_the_width_wanted_is_narrow(until):
    for low in np.linspace(0, 0.7, 50):
        assert Stopping(until, 100).narrow((low, low + 2 * until))
        assert not Stopping(until, 100).narrow((low, low + 2.001 * until))


def test_bets_are_fair():
    """Whatever the value, what a stake of 1 becomes by one more image is 1 in expectation; by their definition."""
    stopping = Stopping(0.03, 2000)
    for value in (0.001, 0.2, 0.5, 0.97, 0.9999):
        after = [math.exp(float(stopping.stake(outcome, 1, value))) for outcome in (0.0, 1.0)]
        assert (1 - value) * after[0] + value * after[1] == pytest.approx(1)
        near = min(value + max(0.03, math.sqrt(2 * math.log(40) * value * (1 - value) / 2000)), 1.0)
        bets = (near / value, (1 - EDGE * (1 - value)) / value)
        assert after[1] == pytest.approx((1 - EDGE_STAKE) * bets[0] + EDGE_STAKE * bets[1])
    for value in (-0.9, -0.1, 0.0, 0.4):
        each = (stopping.stake_on_difference(*counts, 1, value) for counts in ((1, 0), (0, 1), (0, 0)))
        more, less, neither = (math.exp(float(log)) for log in each)
        for discordant in (abs(value), 0.95):
            chances = ((discordant + value) / 2, (discordant - value) / 2, 1 - discordant)
            assert np.dot(chances, (more, less, neither)) == pytest.approx(1)


def test_the_mean_of_trainings_is_held_too():
    """Shares of three trainings that withstand an attack on an image are no zeros and ones."""
    rng, stopping = np.random.default_rng(0), Stopping(0.04, IMAGES)
    hard = rng.random((1000, 1, IMAGES)) < 0.5
    withstood = np.where(hard, rng.random((1000, 3, IMAGES)) < 0.1, rng.random((1000, 3, IMAGES)) < 0.7)
    assert always(withstood.mean(axis=1), 0.4, stopping) >= binom.ppf(0.001, 1000, 0.95) / 1000


@pytest.mark.turns("p")
@pytest.mark.parametrize("p", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("points", [1, 2, 5])
def test_as_few_images_as_stated(p, points):
    """About 2 times those of Wilson's interval for a given number of images, and fewer than by Robbins' mixture."""
    stopping = Stopping(points / 100, 10**9)
    n = next(n for n in _more() if stopping.narrow(stopping.proportion(round(p * n) / n, n)))
    given = next(n for n in _more() if stopping.narrow(wilson(round(p * n) / n, n)))
    assert n < 2.2 * given if p > points / 100 else n < 3.5 * given
    low, high = (
        next(value for value in np.linspace(end, p, 1000) if _mixture(p, n, value) < math.log(20)) for end in (0, 1)
    )
    assert not stopping.narrow((low, high))


@pytest.mark.parametrize(("points", "discordance"), [(1, 0.05), (2, 0.2), (5, 0.5)])
def test_a_difference_takes_less_than_3_times_the_images_of_a_given_number(points, discordance):
    def half(n):
        return round(discordance * n / 2)

    stopping = Stopping(points / 100, 10**9)
    n = next(n for n in _more() if stopping.narrow(stopping.difference(half(n), half(n), n)))
    given = next(n for n in _more() if stopping.narrow(tango.interval(half(n), half(n), n)))
    assert given < n < 3 * given


@pytest.mark.parametrize("discordance", [0.5, 0.1, 0.02])
def test_more_than_all_images_can_show_is_not_bet_on(discordance):
    """Once all images are seen, an interval is less than 1.7 times as wide as one for a given number."""
    half, most = round(10_000 * discordance / 2), 10_000
    low, high = Stopping(0.0005, most).difference(half, half, most)
    given = tango.interval(half, half, most)
    assert given[1] - given[0] < high - low < 1.7 * (given[1] - given[0])


def _more():
    n = 20.0
    while True:
        n *= 1.02
        yield round(n)


def _mixture(p, n, value):
    """Logarithm of the mean likelihood over all alternatives, over that of a value (Robbins, 1970)."""
    if value in {0, 1}:
        return math.inf

    def log_likelihood(q):
        return n * (p * math.log(q) + (1 - p) * math.log1p(-q))

    at = log_likelihood(p)
    width = 12 * math.sqrt(p * (1 - p) / n)
    ends = max(p - width, 1e-12), min(p + width, 1 - 1e-12)
    mean, _ = integrate.quad(lambda q: math.exp(log_likelihood(q) - at), *ends, limit=200)
    return math.log(mean) + at - log_likelihood(value)


@pytest.mark.parametrize(
    ("more", "less", "n"), [(0, 0, 300), (10, 0, 300), (40, 20, 500), (3.5, 3.5, 200), (90, 5, 95)]
)
def test_a_difference_and_its_p_agree(more, less, n):
    stopping = Stopping(0.05, 1000)
    low, high = stopping.difference(more, less, n)
    assert -1 <= low <= (more - less) / n <= high <= 1
    assert stopping.difference(less, more, n) == pytest.approx((-high, -low))
    assert stopping.p_of_difference(more, less, n) == stopping.p_of_difference(less, more, n)
    assert (stopping.p_of_difference(more, less, n) <= 0.05) == (not low < 0 < high)


def test_an_estimate_allows_for_stopping():
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 800)) < 0.55, rng.random((3, 800)) < 0.5
    stopping = Stopping(0.05, 1000)
    for seeds in (1, 3):
        given = difference_of(first[:seeds], second[:seeds])
        found = difference_of(first[:seeds], second[:seeds], stopping)
        assert found.difference == given.difference
        assert found.interval[0] <= given.interval[0]
        assert found.interval[1] >= given.interval[1]
        assert found.p >= given.p
        assert (found.p < 0.05) == (not found.interval[0] <= 0 <= found.interval[1])
        assert (given.stopping, found.stopping) == (None, stopping)


@pytest.mark.parametrize("shares", [(0.55, 0.55, 0.55), (0.58, 0.6, 0.59), (0.75, 0.75, 0.75), (0.3, 0.6, 0.9)])
def test_of_several_seeds_the_wider_interval_and_the_larger_p_count(shares):
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 800)) < np.array(shares)[:, None], rng.random((3, 800)) < 0.5
    stopping = Stopping(0.05, 1000)
    given, found = difference_of(first, second), difference_of(first, second, stopping)
    counts = discordant_images(first, second)
    low, high = stopping.difference(*counts, 800)
    assert found.interval == (min(low, given.interval[0]), max(high, given.interval[1]))
    assert found.p == max(stopping.p_of_difference(*counts, 800), given.p)


def test_it_is_named_and_read_again():
    for stopping in (Stopping(0.01, 10_000), Stopping(0.0001, 1), Stopping(0.015 / 100, 3), Stopping(0.5, 10**9)):
        assert Stopping.named(str(stopping)) == stopping
    assert interval_of(0.3, 200, "sequence until 0.02 of 500") == Stopping(0.02, 500).proportion(0.3, 200)
    assert interval_of(0.3, 200) == wilson(0.3, 200)
    for strange in ("wilson", "sequence until 0.0 of 3", "sequence until 0.9 of 3", "sequence until 0.1 of 0"):
        with pytest.raises(ValueError, match="names no interval"):
            Stopping.named(strange)
    for share, n in ((-0.1, 10), (1.1, 10), (0.5, 0)):
        with pytest.raises(ValueError, match="expected a proportion"):
            Stopping(0.01, 100).proportion(share, n)
