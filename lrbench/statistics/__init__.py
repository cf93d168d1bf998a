"""Intervals, tests, corrections and power (docs/statistics.md says what each of them answers)."""

from lrbench.statistics.difference import Components, Estimate, difference_of
from lrbench.statistics.family import holm
from lrbench.statistics.power import detectable, images_needed, power
from lrbench.statistics.proportion import mcnemar, wilson

__all__ = [
    "Components",
    "Estimate",
    "detectable",
    "difference_of",
    "holm",
    "images_needed",
    "mcnemar",
    "power",
    "wilson",
]
