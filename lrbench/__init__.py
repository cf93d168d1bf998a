"""LR-Layers, attacks, diagnostics and leaderboards for the robustness of low-rank representations.

Importing this package is cheap: torch is loaded by what computes, not by the names below.
"""

from typing import TYPE_CHECKING, Any

from lrbench.catalogue import ATTACKS, DATASETS, MEASURES, MODELS

if TYPE_CHECKING:
    from lrbench.leaderboard import Leaderboard
    from lrbench.measures import Layer, Measure, Metric, Options
    from lrbench.runner import run

__version__ = "0.1.0"

register_model = MODELS.register
register_attack = ATTACKS.register
register_dataset = DATASETS.register
register_measure = MEASURES.register

__all__ = [
    "Layer",
    "Leaderboard",
    "Measure",
    "Metric",
    "Options",
    "__version__",
    "register_attack",
    "register_dataset",
    "register_measure",
    "register_model",
    "run",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name == "run":
        from lrbench.runner import run  # noqa: PLC0415

        return run
    if name == "Leaderboard":
        from lrbench.leaderboard import Leaderboard  # noqa: PLC0415

        return Leaderboard
    if name in {"AttackMeasure", "Layer", "Measure", "Metric", "Options"}:
        from lrbench import measures  # noqa: PLC0415

        return getattr(measures, name)
    msg = f"module 'lrbench' has no attribute {name!r}"
    raise AttributeError(msg)
