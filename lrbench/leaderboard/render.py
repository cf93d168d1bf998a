"""The leaderboard for readers: in a terminal, and as Markdown."""

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lrbench.errors import printable
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figure_text import MISSING, cell_parts, figure_parts, write_value
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.text import in_markdown
from lrbench.views import Block, Cell, Form

COMPARED = ("model", "figure", "published in", "published", "measured here")


def renderable(board: Leaderboard) -> RenderableType:
    """Lay the leaderboard out for a rich console."""
    parts: list[RenderableType] = []
    for block in board.blocks:
        parts += [Text(block.title, style="bold"), _rich_table(board, block), Text()]
    if board.comparisons:
        parts += [Text(_reference_title(board), style="bold"), _rich_comparison(board), Text()]
    return Group(*parts, *(Text(printable(line), style="dim") for line in notes(board)))


def print_board(board: Leaderboard, console: Console) -> None:
    """Print the leaderboard."""
    console.print(renderable(board))


def to_markdown(board: Leaderboard) -> str:
    """Write the leaderboard as Markdown tables."""
    parts = [f"# {in_markdown(board.suite['name'])}", ""]
    for block in board.blocks:
        parts += [f"## {in_markdown(block.title)}", ""]
        headings = [f"{column.heading}, {column.images}".removesuffix(", ") for column in block.columns]
        parts.append("| model | " + " | ".join(map(in_markdown, headings)) + " |")
        parts.append("| --- |" + " ---: |" * len(block.columns))
        for model in board.models:
            cells = [in_markdown(" ".join(cell_parts(column, model))) for column in block.columns]
            parts.append(f"| {in_markdown(board.labels[model])} | " + " | ".join(cells) + " |")
        parts.append("")
    if board.comparisons:
        parts += [
            f"## {in_markdown(_reference_title(board))}",
            "",
            f"| {' | '.join(COMPARED)} |",
            "| --- | --- | --- | ---: | ---: |",
        ]
        parts += [f"| {' | '.join(in_markdown(text) for text in row)} |" for row in _compared(board, " ")]
        parts.append("")
    return "\n".join([*parts, *(f"- {in_markdown(line)}" for line in notes(board))]) + "\n"


def _reference_title(board: Leaderboard) -> str:
    return f"Beside {board.suite['reference']['source']}"


def _rich_table(board: Leaderboard, block: Block) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("model", no_wrap=True)
    for column in block.columns:
        table.add_column(Text(f"{column.heading}\n{column.images}".strip()), justify="right", overflow="fold")
    for model in board.models:
        cells = (Text("\n".join(cell_parts(column, model))) for column in block.columns)
        table.add_row(Text(printable(board.labels[model])), *cells)
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
            board.labels[each.model],
            each.figure,
            each.where,
            each.published if isinstance(each.published, str) else write_value(each.published, each.form),
            MISSING if each.measured is None else separator.join(_measured(each.measured, each.form)),
        )
        for each in board.comparisons
    ]


def _measured(cell: Cell, form: Form) -> list[str]:
    return figure_parts(cell, form) + ([] if cell.n is None else [f"n = {cell.n:,}"])
