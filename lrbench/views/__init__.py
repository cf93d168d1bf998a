"""What readers are shown, as plain data: the tidy table of results, tables and charts made of it. Draws nothing."""

from lrbench.columns import CELL, COLUMNS, TEXT
from lrbench.views.charts import Axis, Chart, Panel
from lrbench.views.results import joined, matching, parameters_of, tidy
from lrbench.views.shares import in_percent, in_points
from lrbench.views.shown import Shown
from lrbench.views.tables import Block, Cell, Column, Form, cell_of, n_suffix, with_n

__all__ = [
    "CELL",
    "COLUMNS",
    "TEXT",
    "Axis",
    "Block",
    "Cell",
    "Chart",
    "Column",
    "Form",
    "Panel",
    "Shown",
    "cell_of",
    "in_percent",
    "in_points",
    "joined",
    "matching",
    "n_suffix",
    "parameters_of",
    "tidy",
    "with_n",
]
