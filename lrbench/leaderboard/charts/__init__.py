"""Which charts a leaderboard has: of attacks, of what measures show, and of training. Draws nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrbench.leaderboard.charts.differences import differences
from lrbench.leaderboard.charts.robustness import by_distance, by_radius, smallest
from lrbench.leaderboard.charts.training import History, training
from lrbench.leaderboard.measured import measured_charts
from lrbench.views import Shown
from lrbench.views.charts import Chart

__all__ = ["Artefacts", "charts"]


@dataclass(frozen=True)
class Artefacts:
    """What charts are made of besides the results and what measures kept.

    Attributes
    ----------
    histories : dict
        (model, seed) -> its training's epochs.
    sizes : dict
        Minimal attack -> model -> sizes of the perturbations found over all seeds, in the threat model's norm.
    """

    histories: dict[tuple[str, int], History] = field(default_factory=dict)
    sizes: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


def charts(shown: Shown, suite: dict[str, Any], artefacts: Artefacts | None = None) -> Iterator[Chart]:
    """Give every chart that there is something to draw of."""
    made = artefacts or Artefacts()
    yield from by_radius(shown, suite)
    yield from differences(shown, suite)
    yield from by_distance(shown, suite)
    yield from smallest(shown, suite, made.sizes)
    yield from measured_charts(shown, suite)
    yield from training(shown, made.histories)
