"""LR-Layers, attacks, diagnostics and leaderboards for the robustness of low-rank representations.

Importing this package is cheap: torch is loaded by what computes, not by the names below.
"""

from typing import TYPE_CHECKING, Any

from lrbench.catalogue import ATTACKS, DATASETS, MEASURES, MODELS, REGULARIZERS
from lrbench.errors import LrbenchError, UsageError

if TYPE_CHECKING:
    from lrbench.diagnostics.claims import audit
    from lrbench.evaluation import evaluate
    from lrbench.leaderboard import Leaderboard
    from lrbench.measures import AttackMeasure, Layer, Measure, Metric, Options
    from lrbench.regularizers import Regularizer
    from lrbench.runner import load_adversarial, load_data, load_model
    from lrbench.runner.run import run

__version__ = "0.1.0"

register_model = MODELS.register
register_attack = ATTACKS.register
register_dataset = DATASETS.register
register_measure = MEASURES.register
register_regularizer = REGULARIZERS.register

__all__ = [
    "AttackMeasure",
    "Layer",
    "Leaderboard",
    "LrbenchError",
    "Measure",
    "Metric",
    "Options",
    "Regularizer",
    "UsageError",
    "__version__",
    "audit",
    "evaluate",
    "load_adversarial",
    "load_data",
    "load_model",
    "register_attack",
    "register_dataset",
    "register_measure",
    "register_model",
    "register_regularizer",
    "run",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name == "audit":
        from lrbench.diagnostics.claims import audit  # noqa: PLC0415

        return audit
    if name == "evaluate":
        from lrbench.evaluation import evaluate  # noqa: PLC0415

        return evaluate
    if name in {"load_adversarial", "load_data", "load_model", "run"}:
        from lrbench import runner  # noqa: PLC0415

        return getattr(runner, name)
    if name == "Leaderboard":
        from lrbench.leaderboard import Leaderboard  # noqa: PLC0415

        return Leaderboard
    if name in {"AttackMeasure", "Layer", "Measure", "Metric", "Options"}:
        from lrbench import measures  # noqa: PLC0415

        return getattr(measures, name)
    if name == "Regularizer":
        from lrbench.regularizers import Regularizer  # noqa: PLC0415

        return Regularizer
    msg = f"module 'lrbench' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return __all__
