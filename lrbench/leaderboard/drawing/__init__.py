"""Charts as Vega-Lite, for a page, for a notebook, and as PNG and SVG: one drawing of each."""

from lrbench.leaderboard.drawing.chart import drawing
from lrbench.leaderboard.drawing.files import as_files, as_svg
from lrbench.leaderboard.drawing.look import NOTEBOOK, PAGE, PAPER

__all__ = ["NOTEBOOK", "PAGE", "PAPER", "as_files", "as_svg", "drawing"]
