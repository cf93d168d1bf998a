"""White-box attacks and the distances they are judged by.

Pure torch: nothing here knows of suites, checkpoints or files.

>>> from lrbench.attacks import IterFSGM
>>> x_adv = IterFSGM(eps=8 / 255)(model, x, y)  # doctest: +SKIP
"""

from .base import Attack, Bounds
from .distances import DAdv, d_adv, l2_dissimilarity
from .fsgm import FGSM, IterFSGM, IterLLFSGM, paper_steps
from .pgd import PGD
from .space import NormalizedSpace

__all__ = [
    "FGSM",
    "PGD",
    "Attack",
    "Bounds",
    "DAdv",
    "IterFSGM",
    "IterLLFSGM",
    "NormalizedSpace",
    "d_adv",
    "l2_dissimilarity",
    "paper_steps",
]
