"""Suite -> a plan of steps -> results. The only room that knows the order of things."""

from lrbench.runner.run import run
from lrbench.runner.session import Session

__all__ = ["Session", "run"]
