"""White- and black-box attacks and the distances they are judged by.

Pure torch: nothing here knows of suites, checkpoints or files.

>>> from lrbench.attacks import IterFSGM
>>> x_adv = IterFSGM(eps=8 / 255)(model, x, y)  # doctest: +SKIP
"""

from .adaptive import AdaptiveLR
from .apgd import APGD
from .apgd_targeted import TargetedAPGD
from .autoattack import AutoAttack, LeftOutWarning
from .base import Attack
from .batches import in_batches
from .carlini_wagner import CarliniWagner
from .ddn import DDN
from .deepfool import DeepFool
from .distances import DAdv, d_adv, l2_dissimilarity
from .fab import FAB
from .fmn import FMN
from .fsgm import FGSM, IterFSGM, IterLLFSGM, paper_steps
from .inputs import Bounds
from .pgd import PGD
from .prepared import Prepared, prepared
from .random_noise import GaussianNoise, UniformNoise
from .regular import LogitsWarning
from .space import NormalizedSpace
from .square import Square

__all__ = [
    "APGD",
    "DDN",
    "FAB",
    "FGSM",
    "FMN",
    "PGD",
    "AdaptiveLR",
    "Attack",
    "AutoAttack",
    "Bounds",
    "CarliniWagner",
    "DAdv",
    "DeepFool",
    "GaussianNoise",
    "IterFSGM",
    "IterLLFSGM",
    "LeftOutWarning",
    "LogitsWarning",
    "NormalizedSpace",
    "Prepared",
    "Square",
    "TargetedAPGD",
    "UniformNoise",
    "d_adv",
    "in_batches",
    "l2_dissimilarity",
    "paper_steps",
    "prepared",
]
