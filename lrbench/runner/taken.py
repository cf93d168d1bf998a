"""Which test images are attacked, in which order, and what intervals say of how many there are."""

from torch import Tensor

from lrbench.columns import INTERVAL
from lrbench.data import Split
from lrbench.statistics import Stopping
from lrbench.suite import ThreatModel


def taken_in(test: Split, threat: ThreatModel) -> Tensor:
    """Give indices of the test images that are attacked, or may be, in the order in which they are taken in.

    A given number has one example of each class in turn. Where figures decide how many there are, they are drawn.
    """
    most = threat.most(len(test))
    return test.ranked(most) if threat.until is None else test.shuffled(most)


def may_be_attacked(test: Split, threat: ThreatModel) -> Split:
    """Give the same images in the order in which outcomes are kept.

    As in the data set; where figures decide how many there are, as they are taken in: a model that was attacked on
    fewer images was attacked on the first ones.
    """
    return test.balanced(threat.most(len(test))) if threat.until is None else test[taken_in(test, threat)]


def stopping_of(threat: ThreatModel, images: int) -> Stopping | None:
    """Give how the number of images is found; None where it is given."""
    return None if threat.until is None else Stopping(threat.until.until / 100, threat.most(images))


def interval_column(threat: ThreatModel, images: int) -> dict[str, str]:
    """Give what rows of proportions say of their intervals."""
    stopping = stopping_of(threat, images)
    return {} if stopping is None else {INTERVAL: str(stopping)}
