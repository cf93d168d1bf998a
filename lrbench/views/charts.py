"""Charts as they are before they are drawn: panels, what their axes and marks show, and what the colour stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Mark = Literal["line", "steps", "points", "bars", "scatter"]
"""Lines through points; steps, level until the next point; points that can be told apart; bars from zero; and
points so many that only their crowd is seen."""


@dataclass(frozen=True)
class Axis:
    """What goes one way in a panel.

    Attributes
    ----------
    column : str
        Of the panel's table.
    title : str
    kind : {"number", "whole", "count", "category"}
        Whole numbers have no ticks between them; counts are large, as 11.2 M.
    scale : {"linear", "log"}
    domain : (float or None, float or None)
        Ends of the axis; None follows from the table.
    order : sequence of str
        Of categories, all that there are.
    """

    column: str
    title: str
    kind: Literal["number", "whole", "count", "category"] = "number"
    scale: Literal["linear", "log"] = "linear"
    domain: tuple[float | None, float | None] = (None, None)
    order: Sequence[str] = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes
    ----------
    table : DataFrame
        A row for each point, with the columns of both axes and the one that the colour stands for. Where it has `low`
        and `high`, lines have a band between them, and points and bars an error bar; `n` is shown beside a point; lines
        of one colour go by `line`; points where `ring` is true have a ring around them; and where the colour stands for
        something else than models, rows with a `model` are hidden with it.
    x, y : Axis
        `low` and `high` are of y, unless y has categories.
    mark : {"line", "steps", "points", "bars", "scatter"}
    title : str
        One line, or several.
    faint : DataFrame, optional
        Lines behind the others, as `table`.
    rules : sequence of float
        Where dotted lines go up from x.
    """

    table: pd.DataFrame
    x: Axis
    y: Axis
    mark: Mark
    title: str = ""
    faint: pd.DataFrame | None = None
    rules: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    """A picture: one or more panels in the same colours.

    Attributes
    ----------
    name : str
        For `board.plot`.
    title, caption : str
    panels : sequence of Panel
    series : mapping
        What the colour stands for, as it is in the tables -> as it is shown, in order.
    by : str
        The column that holds it.
    file : str, optional
        Name of the picture's files in a run's `figures/`, if not `name`; empty if it has none.
    """

    name: str
    title: str
    caption: str
    panels: Sequence[Panel]
    series: Mapping[str, str] = field(default_factory=dict)
    by: str = "model"
    file: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn: a table without a column, a colour of no series, words on an axis of numbers."""
        for panel in self.panels:
            columns = {panel.x.column, panel.y.column, self.by}
            if missing := sorted(columns - {*panel.table.columns}):
                msg = f"the chart {self.name!r} has a table without {', '.join(missing)}"
                raise ValueError(msg)
            if strange := sorted({*map(str, panel.table[self.by])} - {*map(str, self.series)}):
                msg = f"the chart {self.name!r} has no series {strange[0]!r} (`series=shown.labels` are the models)"
                raise ValueError(msg)
            for axis in (panel.x, panel.y):
                if axis.kind != "category" and not pd.api.types.is_numeric_dtype(panel.table[axis.column]):
                    msg = f"the chart {self.name!r} has an axis of numbers, but {axis.column} holds words"
                    raise ValueError(msg)

    @property
    def picture(self) -> str:
        """Name of its files; empty if it has none."""
        return self.name if self.file is None else self.file
