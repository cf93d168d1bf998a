"""White-box attacks and the distances they are judged by.

Pure torch: nothing here knows of suites, checkpoints or files.

>>> from lrbench.attacks import IterFSGM
>>> x_adv = IterFSGM(eps=8 / 255)(model, x, y)  # doctest: +SKIP
"""

from .base import Attack
from .distances import DAdv, d_adv, l2_dissimilarity
from .fsgm import IterFSGM, IterLLFSGM, paper_steps
from .pgd import LinfPGD
from .space import NormalizedSpace

__all__ = [
    "Attack",
    "DAdv",
    "IterFSGM",
    "IterLLFSGM",
    "LinfPGD",
    "NormalizedSpace",
    "d_adv",
    "l2_dissimilarity",
    "paper_steps",
]
