"""Step 6: standard AutoAttack on all test images."""

from benchmarks.gpu.networks import Rows, autoattacked
from benchmarks.gpu.robust import NAME
from benchmarks.gpu.setting import Setting

A_SECOND = 7
"""Images that withstand AutoAttack about half the time, on the cards for which this was written."""
LEAST = 60.0


def rows(setting: Setting) -> Rows:
    """Attack the undefended network on all 10,000, the adversarially trained one on as many as fit."""
    yield "undefended", lambda: autoattacked(setting, "normal", 10_000)
    yield "adversarially trained", lambda: trained_one(setting)


def trained_one(setting: Setting) -> dict:
    """As many as are likely to fit."""
    setting.enough(LEAST)
    return autoattacked(setting, NAME, min(10_000, int(A_SECOND * setting.left())))
