"""Published leaderboards: `leaderboards/SUITE/`, a record for each model, and what follows from all of them."""

from lrbench.leaderboard.published.publish import check, publish

__all__ = ["check", "publish"]
