"""Step 6: standard AutoAttack on all test images."""

from benchmarks.gpu.networks import Rows, autoattacked
from benchmarks.gpu.robust import NAME
from benchmarks.gpu.setting import Setting


def rows(setting: Setting) -> Rows:
    """The undefended network on all 10,000, the adversarially trained one on as many as fit."""
    yield "undefended", lambda: autoattacked(setting, "normal", 10_000, 2500, setting.left() - 2)
    yield "adversarially trained", lambda: autoattacked(setting, NAME, 10_000, 256, setting.left() - 2)
