"""How a figure is written, wherever it is shown."""

from lrbench.leaderboard.layout import Cell, Form
from lrbench.verdicts import VERDICTS


def figure_parts(cell: Cell, form: Form) -> list[str]:
    """Write a figure with its deviation over seeds, and its interval if it has one."""
    if form == "verdict":
        return [VERDICTS[int(cell.value)]]
    deviation = "" if cell.sd != cell.sd or form == "count" else f" ±{_deviation(cell.sd, form)}"
    interval = [] if cell.interval is None else [f"[{', '.join(write_value(bound, form) for bound in cell.interval)}]"]
    return [write_value(cell.value, form) + deviation, *interval]


def write_value(value: float, form: Form) -> str:
    """Write a number in its form."""
    if form == "percent":
        return f"{100 * value:.1f}"
    if form == "points":
        return f"{100 * value:+.1f}"
    if form == "milliseconds":
        return f"{1000 * value:.3g}"
    if form == "count":
        return _count(value)
    return f"{value:.4g}"


def _count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g} {letter}"
    return f"{value:.0f}"


def _deviation(sd: float, form: Form) -> str:
    if form in {"percent", "points"}:
        return f"{100 * sd:.1f}"
    return f"{1000 * sd:.1g}" if form == "milliseconds" else f"{sd:.1g}"
