"""The report: one HTML file that holds everything, opens from disk and needs no network."""

from lrbench.leaderboard.report.page import report

__all__ = ["report"]
