"""One look for all figures: told apart in colour, in grey, and by the colour-blind."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette (2008), ordered so that neighbours differ in lightness too.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#8C8C8C")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)), (0, (8, 2)))
DPI = 150

RC: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "lrbench",
}


@dataclass(frozen=True)
class Look:
    """How one of several series is drawn."""

    colour: str
    marker: str
    line: Any

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `Axes.plot`."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.line, "markersize": 4, "linewidth": 1.5}


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Give each name a look of its own, by its place; more than eight share colours, never colour and marker."""
    return {
        name: Look(
            COLOURS[index % len(COLOURS)],
            MARKERS[(index + index // len(COLOURS)) % len(MARKERS)],
            LINES[index % len(LINES)],
        )
        for index, name in enumerate(names)
    }


def panels(columns: int, width: float = 4.6, height: float = 3.6, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Figure with a row (or rows) of axes, laid out so that nothing overlaps."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """One legend for the whole figure, below it, in as many columns as fit."""
    handles, labels = axes.get_legend_handles_labels()
    for count in range(min(columns, len(labels)), 0, -1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=count, frameon=False, markerscale=1.5)
        for text in legend.get_texts():
            text.set_parse_math(False)
        if count == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def _names_as_text(figure: Figure) -> None:
    """Keep dollar signs in the names of models and classes from being read as mathematics."""
    names = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        names += [text for text in [*axes.get_xticklabels(), *axes.get_yticklabels()] if "math" not in text.get_text()]
    for text in names:
        text.set_parse_math(False)


def rendered(figure: Figure, name: str) -> dict[str, bytes]:
    """Give the figure as PNG and SVG, the same bytes each time."""
    _names_as_text(figure)
    files = {}
    with mpl.rc_context(RC):
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
            files[f"{name}.{kind}"] = buffer.getvalue()
            # Once is enough: finding room for everything takes as long as drawing it.
            figure.set_layout_engine("none")
    return files
