"""What is left of a claimed robust accuracy under attacks that change one thing each, and why.

>>> import lrbench
>>> print(lrbench.audit(model, x, y, claim="pgd, steps 20, 8/255: 78.5"))  # doctest: +SKIP

Sources: Athalye, Carlini and Wagner, *Obfuscated gradients give a false sense of security*, 2018; Tramèr, Carlini,
Brendel and Madry, *On adaptive attacks to adversarial example defenses*, 2020.
"""

from lrbench.diagnostics.claims.audit import Audit, audit, conclusion, not_tried
from lrbench.diagnostics.claims.bench import EFFORTS, Effort
from lrbench.diagnostics.claims.cause import CAUSES, Cause, Verdict
from lrbench.diagnostics.claims.claim import Claim, read
from lrbench.diagnostics.claims.ladder import Climbed, Ladder, Share
from lrbench.diagnostics.claims.rungs import LADDER
from lrbench.diagnostics.claims.signs import SIGNS, Shares

__all__ = [
    "CAUSES",
    "EFFORTS",
    "LADDER",
    "SIGNS",
    "Audit",
    "Cause",
    "Claim",
    "Climbed",
    "Effort",
    "Ladder",
    "Share",
    "Shares",
    "Verdict",
    "audit",
    "conclusion",
    "not_tried",
    "read",
]
