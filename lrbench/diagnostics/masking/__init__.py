"""Is a model robust, or does it hide its gradients? Checks after Carlini et al. and the adaptive-attack literature.

>>> from lrbench.diagnostics.masking import examine
>>> print(examine(model, x, y, eps=8 / 255))  # doctest: +SKIP
suspicious
  random-output: outputs differ between two calls on the same images (0.31)
    ...

Sources: Athalye, Carlini and Wagner, *Obfuscated gradients give a false sense of security*, 2018; Carlini et al., *On
evaluating adversarial robustness*, 2019; Pintor et al., *Indicators of attack failure*, 2022.
"""

from lrbench.diagnostics.masking.check import CHECKS, Check, Finding, Severity
from lrbench.diagnostics.masking.examine import Verdict, examine
from lrbench.diagnostics.masking.subject import Budget, Subject

__all__ = [
    "CHECKS",
    "Budget",
    "Check",
    "Finding",
    "Severity",
    "Subject",
    "Verdict",
    "examine",
]
