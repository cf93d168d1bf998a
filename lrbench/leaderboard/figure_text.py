"""How a figure is written, wherever it is shown."""

from lrbench.verdicts import NOT_CHECKED, VERDICTS
from lrbench.views import Cell, Column, Form, in_percent, in_points

MISSING = "-"

LEAST = 1e-10
"""A p-value below it is of the order of its rounding, and said to be so small."""


def cell_parts(column: Column, model: str) -> list[str]:
    """Write what a column says of a model: the figure, then its interval, its n and its seeds where they are shown."""
    cell = column.cells.get(model)
    if column.form == "verdict":
        return [verdict_shown(cell), *([] if cell is None else _seeds(cell))]
    if cell is None:
        return [MISSING]
    return figure_parts(cell, column.form) + ([f"n = {cell.n:,}"] if column.counted == "cells" and cell.n else [])


def verdict_shown(cell: Cell | None) -> str:
    """Name a verdict; nobody has held up whose checks are missing, be it for one seed."""
    if cell is None:
        return NOT_CHECKED
    name = VERDICTS[int(cell.value)]
    return name if cell.whole or name != VERDICTS[0] else NOT_CHECKED


def figure_parts(cell: Cell, form: Form) -> list[str]:
    """Write a figure with its deviation over seeds, and what else there is: interval, clean accuracy, missing seeds."""
    deviation = "" if cell.sd != cell.sd or form == "count" else f" ±{_deviation(cell.sd, form)}"
    interval = [] if cell.interval is None else [f"[{', '.join(write_value(bound, form) for bound in cell.interval)}]"]
    clean = [] if cell.clean is None else [f"of {write_value(cell.clean, form)}"]
    return [write_value(cell.value, form) + deviation, *interval, *clean, *_seeds(cell)]


def _seeds(cell: Cell) -> list[str]:
    return [] if cell.whole else [f"{cell.seeds} of {cell.planned} seeds"]


def write_value(value: float, form: Form) -> str:
    """Write a number in its form, of percent and points the last half up."""
    if form == "number" and 0 < value < LEAST:
        return f"under {LEAST:g}"
    if form == "percent":
        return in_percent(value)
    if form == "points":
        return in_points(value)
    # Equal means may differ in their last bit, and must not be rounded to different digits.
    value = round(value, 12) + 0.0
    if form == "milliseconds":
        return f"{1000 * value:.3g}"
    if form == "count":
        return _count(value)
    return f"{value:.0f}" if form == "rank" else f"{value:.4g}"


def _count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g} {letter}"
    return f"{value:.0f}"


def _deviation(sd: float, form: Form) -> str:
    if form in {"percent", "points"}:
        return in_percent(sd)
    shown = 1000 * sd if form == "milliseconds" else sd
    # One digit, and 20 rather than 2e+01.
    return f"{float(f'{shown:.1g}'):g}"
