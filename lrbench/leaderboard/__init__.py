"""Results to tables. Knows no torch: a leaderboard is shown where nothing is computed."""

from lrbench.leaderboard.board import Leaderboard
from lrbench.statistics import wilson
from lrbench.views import COLUMNS, tidy

__all__ = ["COLUMNS", "Leaderboard", "tidy", "wilson"]
