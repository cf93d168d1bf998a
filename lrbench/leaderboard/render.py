"""The leaderboard for readers: in a terminal, as Markdown, and in a notebook."""

import io
from collections.abc import Callable, Iterable
from html import escape

from rich.console import Console, Group, RenderableType
from rich.text import Text

from lrbench.errors import printable
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figure_text import MISSING, cell_parts, figure_parts, write_value
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.table import TextTable
from lrbench.leaderboard.text import in_markdown
from lrbench.leaderboard.warned import warnings
from lrbench.views import Block, Cell, Form

WIDTH = 140
"""Columns of text that no terminal shows."""


def renderable(board: Leaderboard) -> RenderableType:
    """Lay the leaderboard out for a rich console."""
    question = board.suite.get("question")
    parts: list[RenderableType] = [Text(printable(question)), Text()] if question else []
    for table in _tables(board, board.blocks, printable):
        parts += [Text(table.title, style="bold"), table.in_terminal(), Text()]
    return Group(*parts, *(Text(printable(line), style="dim") for line in notes(board)))


def print_board(board: Leaderboard, console: Console) -> None:
    """Print the leaderboard."""
    console.print(renderable(board))


def to_markdown(board: Leaderboard) -> str:
    """Write the leaderboard as Markdown tables."""
    parts = [f"# {in_markdown(board.suite['name'])}", ""]
    if question := board.suite.get("question"):
        # Behind a word, or a dash or a number would begin a list.
        parts += [f"> **Question:** {in_markdown(question)}", ""]
    for table in _tables(board, [block.lasting for block in board.blocks], str):
        parts += table.in_markdown()
    return "\n".join([*parts, *(f"- {in_markdown(line)}" for line in notes(board))]) + "\n"


def summary_text(board: Leaderboard) -> str:
    """Write the first table as text, and below it what to be careful of."""
    text = io.StringIO()
    console = Console(file=text, width=WIDTH)
    table = _table(board, board.blocks[0], printable)
    console.print(Text(table.title, style="bold"), table.in_terminal())
    lines = (printable(line) for line in warnings(board))
    return "\n".join([*(line.rstrip() for line in text.getvalue().splitlines()), *lines])


def summary_html(board: Leaderboard) -> str:
    """Write the first table as HTML, and below it what to be careful of."""
    below = "".join(f"<p>{escape(line)}</p>" for line in warnings(board))
    return _table(board, board.blocks[0], str).in_html() + below


def _tables(board: Leaderboard, blocks: Iterable[Block], shown: Callable[[str], str]) -> list[TextTable]:
    """Give all tables; `shown` makes names fit to be shown."""
    tables = [_table(board, block, shown) for block in blocks]
    return [*tables, *([_compared(board)] if board.comparisons else [])]


def _table(board: Leaderboard, block: Block, shown: Callable[[str], str]) -> TextTable:
    words = ["model", *([block.by] if block.by else [])]
    figures = [[column.heading, *([column.images] if column.images else [])] for column in block.headings]
    rows = [
        [
            [shown(board.labels[model])],
            *([shown(word)] for word in beside),
            *(cell_parts(each, model) for each in columns),
        ]
        for model, beside, columns in block.rows(board.models)
    ]
    return TextTable(block.title, [*([word] for word in words), *figures], rows, words=len(words))


def _compared(board: Leaderboard) -> TextTable:
    """Put published figures beside the measured ones."""
    headings = [["model"], ["figure"], ["published in"], ["published"], ["measured here"]]
    rows = [
        [
            [board.labels[each.model]],
            [each.figure],
            [each.where],
            [each.published if isinstance(each.published, str) else write_value(each.published, each.form)],
            [MISSING if each.measured is None else " ".join(_measured(each.measured, each.form))],
        ]
        for each in board.comparisons
    ]
    return TextTable(f"Beside {board.suite['reference']['source']}", headings, rows, words=3)


def _measured(cell: Cell, form: Form) -> list[str]:
    return figure_parts(cell, form) + ([] if cell.n is None else [f"n = {cell.n:,}"])
