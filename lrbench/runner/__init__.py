"""Suite -> a plan of steps -> results. The only room that knows the order of things."""

from lrbench.runner.loading import load_adversarial, load_data, load_model
from lrbench.runner.run import run
from lrbench.runner.session import Session

__all__ = ["Session", "load_adversarial", "load_data", "load_model", "run"]
