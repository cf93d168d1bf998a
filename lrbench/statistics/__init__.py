"""Intervals, tests, corrections and power (docs/statistics.md says what each of them answers)."""

from lrbench.statistics.difference import Components, Estimate, difference_of, discordant, on_the_same_images
from lrbench.statistics.family import holm
from lrbench.statistics.power import detectable, images_needed, largest_difference, power
from lrbench.statistics.proportion import clopper_pearson, failures, mcnemar, wilson
from lrbench.statistics.sequence import Stopping, interval_of

__all__ = [
    "Components",
    "Estimate",
    "Stopping",
    "clopper_pearson",
    "detectable",
    "difference_of",
    "discordant",
    "failures",
    "holm",
    "images_needed",
    "interval_of",
    "largest_difference",
    "mcnemar",
    "on_the_same_images",
    "power",
    "wilson",
]
