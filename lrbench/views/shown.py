"""What a measure is shown from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from lrbench.names import eps_label, radius_text
from lrbench.views.rows import Rows
from lrbench.views.tables import Column, Form, cell_of


@dataclass(frozen=True)
class Shown:
    """Results of all models of a board.

    Attributes
    ----------
    results : DataFrame
        Tidy, one row a measurement: `COLUMNS`, and a column of text for each parameter of figures.
    aggregated : DataFrame
        Over seeds: the same without the seed, with `sd` and `seeds`.
    labels : mapping
        Model -> its name as it is shown, in the suite's order.
    seeds : int
        That each figure should have.
    attacks : sequence of str
        Labels of the suite's attacks: those that it is summed up by, then the others, each in its order.
    radii : sequence of float
        In ascending order.
    norm : {"linf", "l2", "l1"}
    space : {"pixel", "normalized"}
    measure : str
        Whose figures are shown.
    prefix : str
        What stands before the names of its figures in tables of results, where it is somebody's own.
    classes : sequence of str
        Empty where they are not known.
    kept : mapping
        Measure -> model -> file -> content, of what measures kept with the model's first seed; empty where only the
        results are known.
    """

    results: pd.DataFrame
    aggregated: pd.DataFrame
    labels: Mapping[str, str]
    seeds: int
    attacks: Sequence[str] = ()
    radii: Sequence[float] = ()
    norm: str = "linf"
    space: str = "pixel"
    measure: str = ""
    prefix: str = ""
    classes: Sequence[str] = ()
    kept: Mapping[str, Mapping[str, Mapping[str, bytes]]] = field(default_factory=dict)
    _memo: dict[int, Rows] = field(default_factory=dict, repr=False, compare=False)
    """By the identity of a table, what finds its rows; whatever is replaced in this shares it."""

    @property
    def title(self) -> str:
        """The measure's name, for readers."""
        return self.measure.replace("_", " ").capitalize()

    def radius(self, eps: float) -> str:
        """Write a radius for readers, in its unit."""
        return radius_text(eps, self.norm, self.space)

    def _of(self, table: pd.DataFrame) -> Rows:
        return self._memo.setdefault(id(table), Rows(table))

    def rows(self, figure: str, /, **where: object) -> pd.DataFrame:
        """Rows over seeds of a figure, with the given values."""
        return self._of(self.aggregated).frame(self.prefix + figure, where)

    def rows_of_seeds(self, figure: str, /, **where: object) -> pd.DataFrame:
        """Rows of a figure of each seed, with the given values."""
        return self._of(self.results).frame(self.prefix + figure, where)

    def column(self, figure: str, heading: str, form: Form, key: str = "", /, **where: object) -> Column:
        """Make the column of the rows of a figure that have the given values, a cell for each model.

        Parameters
        ----------
        figure : str
        heading : str
        form : str
        key : str
            What it is called in files, if not as the figure with its layer.
        where
            layer, attack, eps or parameters.
        """
        rows = self._of(self.aggregated).records(self.prefix + figure, where)
        cells = {str(row["model"]): cell_of(row, self.seeds) for row in rows}
        layer = where.get("layer")
        return Column(key or self.prefix + figure + (f"[{layer}]" if layer else ""), heading, form, cells)

    def columns(self, figure: str, heading: str, form: Form, parameters: Sequence[str] = ()) -> Iterator[Column]:
        """Make a column for each layer, attack, radius and value of the parameters at which a figure was taken."""
        rows = self.rows(figure)
        names = [name for name in ("layer", "attack", "eps", *parameters) if name in rows]
        for values in rows[names].drop_duplicates().itertuples(index=False, name=None):
            where = {name: value for name, value in zip(names, values, strict=True) if not pd.isna(value)}
            eps = where.get("eps")
            given = {name: value for name, value in where.items() if value and name != "eps"}
            plain = [value for name, value in given.items() if name not in parameters]
            said = [(name, value) for name, value in given.items() if name in parameters]
            radius = [] if eps is None else [eps_label(eps, self.norm)]
            parts = ",".join([*plain, *radius, *(f"{name}={_quoted(value)}" for name, value in said)])
            key = self.prefix + figure + (f"[{parts}]" if parts else "")
            radius = [] if eps is None else [self.radius(eps)]
            words = [heading, *plain, *radius, *(f"{name} {value}" for name, value in said)]
            yield self.column(figure, " ".join(words), form, key, **where)


def _quoted(value: str) -> str:
    """Quote a parameter that would be read as more than one."""
    return json.dumps(value, ensure_ascii=False) if set(value) & set(',=[]"') else value
