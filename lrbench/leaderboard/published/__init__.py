"""Published leaderboards: `leaderboards/SUITE/`, a record for each model, and what follows from all of them."""

from lrbench.leaderboard.published.check import check
from lrbench.leaderboard.published.publish import publish, rebuild
from lrbench.leaderboard.published.state import PublishedState, boards_at, require_boards

__all__ = ["PublishedState", "boards_at", "check", "publish", "rebuild", "require_boards"]
