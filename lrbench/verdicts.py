"""What an evaluation comes to. Without torch: leaderboards are shown where nothing is computed."""

from collections.abc import Iterable
from typing import Literal

VerdictName = Literal["held up", "suspicious", "broken"]

VERDICTS: tuple[VerdictName, ...] = ("held up", "suspicious", "broken")
"""Of the evaluation, not of the model: all checks passed, so that the attacks' figures are the model's; some condition
holds under which attacks are known to fail; or figures contradict each other, so that an attack did fail."""

NOT_CHECKED = "not checked"
"""Shown of a model whose checks are missing."""

RANKED: tuple[str, ...] = (*VERDICTS, NOT_CHECKED)
"""Best first. To leave the checks out must never raise a model's rank, so that it stands behind a broken evaluation."""


def verdict_of(severities: Iterable[str]) -> VerdictName:
    """Give the verdict for the severities ("suspicious" or "broken") of the flagged checks."""
    found = set(severities)
    if "broken" in found:
        return "broken"
    return "suspicious" if found else "held up"
