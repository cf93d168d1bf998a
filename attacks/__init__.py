"""White-box attacks and the distances they are judged by.

Pure torch: nothing here knows of suites, checkpoints or files.

>>> from lrbench.attacks import IterFSGM
>>> x_adv = IterFSGM(eps=8 / 255)(model, x, y)  # doctest: +SKIP
"""

from .apgd import APGD, TargetedAPGD
from .base import Attack, Bounds
from .distances import DAdv, d_adv, l2_dissimilarity
from .fsgm import FGSM, IterFSGM, IterLLFSGM, paper_steps
from .pgd import PGD
from .prepared import Prepared, prepared
from .space import NormalizedSpace
from .square import Square

__all__ = [
    "APGD",
    "FGSM",
    "PGD",
    "Attack",
    "Bounds",
    "DAdv",
    "IterFSGM",
    "IterLLFSGM",
    "NormalizedSpace",
    "Prepared",
    "Square",
    "TargetedAPGD",
    "d_adv",
    "l2_dissimilarity",
    "paper_steps",
    "prepared",
]
