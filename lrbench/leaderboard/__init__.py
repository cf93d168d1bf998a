"""Results to tables. Knows no torch: a leaderboard is shown where nothing is computed."""

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.results import COLUMNS, tidy
from lrbench.statistics import wilson

__all__ = ["COLUMNS", "Leaderboard", "tidy", "wilson"]
