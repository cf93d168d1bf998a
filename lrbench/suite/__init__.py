"""The YAML schema: text in, a validated and typed `Suite` out. Knows no torch."""

from lrbench.recipes import Adversarial, Training
from lrbench.suite.claims import ClaimSpec
from lrbench.suite.known import known_suite
from lrbench.suite.load import load_suite, name_of_run, read_run, shipped_suites
from lrbench.suite.measures import AttackSpec, Diagnostics, ThreatModel
from lrbench.suite.samples import Until, looks
from lrbench.suite.schema import DataSpec, Suite
from lrbench.suite.training import LayerSpec, LowRank, ModelSpec, Normalization

__all__ = [
    "Adversarial",
    "AttackSpec",
    "ClaimSpec",
    "DataSpec",
    "Diagnostics",
    "LayerSpec",
    "LowRank",
    "ModelSpec",
    "Normalization",
    "Suite",
    "ThreatModel",
    "Training",
    "Until",
    "known_suite",
    "load_suite",
    "looks",
    "name_of_run",
    "read_run",
    "shipped_suites",
]
