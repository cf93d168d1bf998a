"""The leaderboard for readers: in a terminal, and as Markdown."""

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.layout import Block, Cell, Column, Form
from lrbench.leaderboard.notes import notes
from lrbench.verdicts import VERDICTS

COMPARED = ("model", "figure", "published in", "published", "measured here")


def renderable(board: Leaderboard) -> RenderableType:
    """Lay the leaderboard out for a rich console."""
    parts: list[RenderableType] = []
    for block in board.blocks:
        parts += [Text(block.title, style="bold"), _rich_table(board, block), Text()]
    if board.comparisons:
        parts += [Text(_reference_title(board), style="bold"), _rich_comparison(board), Text()]
    return Group(*parts, *(Text(line, style="dim") for line in notes(board)))


def print_board(board: Leaderboard, console: Console) -> None:
    """Print the leaderboard."""
    console.print(renderable(board))


def to_markdown(board: Leaderboard) -> str:
    """Write the leaderboard as Markdown tables."""
    parts = [f"# {board.suite['name']}", ""]
    for block in board.blocks:
        parts += [f"## {block.title}", ""]
        parts.append("| model | " + " | ".join(_escaped(column.heading) for column in block.columns) + " |")
        parts.append("| --- |" + " ---: |" * len(block.columns))
        for model in board.models:
            cells = [" ".join(_cell(column, model)) for column in block.columns]
            parts.append(f"| {_escaped(model)} | " + " | ".join(cells) + " |")
        parts.append("")
    if board.comparisons:
        parts += [
            f"## {_reference_title(board)}",
            "",
            f"| {' | '.join(COMPARED)} |",
            "| --- | --- | --- | ---: | ---: |",
        ]
        parts += [f"| {' | '.join(_escaped(text) for text in row)} |" for row in _compared(board, " ")]
        parts.append("")
    return "\n".join([*parts, *(f"- {line}" for line in notes(board))]) + "\n"


def _reference_title(board: Leaderboard) -> str:
    return f"Beside {board.suite['reference']['source']}"


def _rich_table(board: Leaderboard, block: Block) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("model", no_wrap=True)
    for column in block.columns:
        table.add_column(Text(column.heading), justify="right")
    for model in board.models:
        table.add_row(Text(model), *(Text("\n".join(_cell(column, model))) for column in block.columns))
    return table


def _rich_comparison(board: Leaderboard) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in COMPARED:
        table.add_column(heading, justify="right" if heading in COMPARED[3:] else "left")
    for row in _compared(board, " "):
        table.add_row(*(Text(text) for text in row))
    return table


def _compared(board: Leaderboard, separator: str) -> list[tuple[str, ...]]:
    return [
        (
            each.model,
            each.figure,
            each.where,
            each.published if isinstance(each.published, str) else _value(each.published, each.form),
            "-" if each.measured is None else separator.join(_figure(each.measured, each.form)),
        )
        for each in board.comparisons
    ]


def _cell(column: Column, model: str) -> list[str]:
    """Format a figure, its interval and its deviation, each part a short line."""
    cell = column.cells.get(model)
    return ["-"] if cell is None else _figure(cell, column.form)


def _figure(cell: Cell, form: Form) -> list[str]:
    if form == "verdict":
        return [VERDICTS[int(cell.value)]]
    deviation = "" if cell.sd != cell.sd or form == "count" else f" ±{_deviation(cell.sd, form)}"
    interval = [] if cell.interval is None else [f"[{', '.join(_value(bound, form) for bound in cell.interval)}]"]
    return [_value(cell.value, form) + deviation, *interval]


def _value(value: float, form: Form) -> str:
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


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("_", "\\_")
