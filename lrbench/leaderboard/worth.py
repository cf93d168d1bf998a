"""What each attack was worth beside the others on the same images.

Source: Cina et al., *AttackBench: evaluating gradient-based attacks for adversarial examples*, 2024 (arXiv 2404.19460),
whose optimality is taken here over the radii of the suite, for attacks that keep to a radius have no others.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Key = tuple[str, float]
"""Label of an attack and radius; ("", 0.0) is no attack."""

Wrong = dict[Key, np.ndarray]
"""Which images a model got wrong, (N,) bool, under each."""

CLEAN: Key = ("", 0.0)
OPTIMALITY, ALONE = "optimality", "only_to_fool"
WORTH = (OPTIMALITY, ALONE)


def worth_rows(wrong: Wrong, labels: Sequence[str], space: str) -> Iterator[dict[str, Any]]:
    """Give the rows of each attack: its optimality, and at each radius the share of images that it alone fooled.

    None of attacks that had no others beside them.

    Parameters
    ----------
    wrong : dict
        With that before any attack.
    labels : sequence of str
        Attacks of the threat model; those that are not in `wrong` are left out.
    space : str
    """
    there = [label for label in labels if any(label == each for each, _ in wrong)]
    if len(there) < 2:
        return
    n = len(wrong[CLEAN])
    for label in there:
        if (share := optimality(wrong, label, there)) is not None:
            yield {"metric": OPTIMALITY, "value": share, "n": n, "attack": label, "space": space}
        for eps in _radii(wrong, label):
            share = float(_alone(wrong, label, there, eps).mean())
            yield {"metric": ALONE, "value": share, "n": n, "attack": label, "eps": eps, "space": space}


def optimality(wrong: Wrong, label: str, labels: Sequence[str]) -> float | None:
    """Give the area under an attack's curve of success against radius over that of the best attack of each image.

    Success is the share of the images that were classified correctly that it fooled within a radius; between radii of
    the attack the curves are straight, and 0 at radius 0. None where no attack fooled anybody.
    """
    radii = _radii(wrong, label)
    own = [float(_within(wrong, label, eps).mean()) for eps in radii]
    best = [float(np.any([_within(wrong, each, eps) for each in labels], axis=0).mean()) for eps in radii]
    area = np.trapezoid([0.0, *best], [0.0, *radii])
    # One radius of 0 spans nothing.
    return float(np.trapezoid([0.0, *own], [0.0, *radii]) / area) if area else None


def _alone(wrong: Wrong, label: str, labels: Sequence[str], eps: float) -> np.ndarray:
    others = [_within(wrong, each, eps) for each in labels if each != label]
    alone: np.ndarray = _within(wrong, label, eps) & ~np.any(others, axis=0)
    return alone


def _radii(wrong: Wrong, label: str) -> list[float]:
    return sorted(eps for each, eps in wrong if each == label)


def _within(wrong: Wrong, label: str, eps: float) -> np.ndarray:
    """Which images an attack fooled at a radius or a smaller one, of those that were classified correctly."""
    fooled = [wrong[label, radius] for radius in _radii(wrong, label) if radius <= eps]
    within: np.ndarray = np.any(fooled, axis=0) & ~wrong[CLEAN] if fooled else np.zeros_like(wrong[CLEAN])
    return within
