"""The YAML schema: text in, a validated and typed `Suite` out. Knows no torch."""

from lrbench.suite.load import load_suite, shipped_suites
from lrbench.suite.schema import (
    AttackSpec,
    DataSpec,
    Diagnostics,
    LayerSpec,
    LowRank,
    ModelSpec,
    Suite,
    ThreatModel,
    Training,
)

__all__ = [
    "AttackSpec",
    "DataSpec",
    "Diagnostics",
    "LayerSpec",
    "LowRank",
    "ModelSpec",
    "Suite",
    "ThreatModel",
    "Training",
    "load_suite",
    "shipped_suites",
]
