"""Suite -> a plan of steps -> results. The only room that knows the order of things."""

from lrbench.runner.run import Session, run

__all__ = ["Session", "run"]
