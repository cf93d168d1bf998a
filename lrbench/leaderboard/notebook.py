"""Charts of a leaderboard in a notebook."""

from typing import Any

import altair as alt

from lrbench.leaderboard.charts import charts
from lrbench.leaderboard.drawing import NOTEBOOK, drawing
from lrbench.views import Shown


def plotted(shown: Shown, suite: dict[str, Any], name: str) -> alt.TopLevelMixin:
    """Draw one chart by name.

    Raises
    ------
    KeyError
        If there is no such chart; the message lists those there are.
    """
    there = {each.name: each for each in charts(shown, suite)}
    if name not in there:
        msg = f"no chart {name!r}; there are {', '.join(there)}"
        raise KeyError(msg)
    drawn: alt.TopLevelMixin = alt.Chart.from_dict(drawing(there[name], NOTEBOOK))
    return drawn
