"""The leaderboard for readers: in a terminal, and as Markdown."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.layout import SUMMARY, Cell, Column, eps_label

WEAK = frozenset({"iter-fsgm", "iter-ll-fsgm"})


@dataclass(frozen=True)
class Block:
    """One table: its title and the columns beside the model's name."""

    title: str
    columns: list[Column]


def blocks(board: Leaderboard) -> Iterator[Block]:
    """Give the tables of a leaderboard: the summary, then one for each attack."""
    summary = [column for column in board.columns if column.group == SUMMARY]
    seeds = len(board.suite["seeds"])
    name, data = board.suite["name"], board.suite["data"]["name"]
    yield Block(f"{name} on {data}, {seeds} seed{'s' * (seeds > 1)}", summary)
    for attack in board.suite["attacks"]:
        columns = [column for column in board.columns if column.group == attack["name"]]
        if columns:
            space = board.suite["threat_model"]["space"]
            images = f", n = {columns[0].n}" if columns[0].n else ""
            yield Block(f"Misclassified % under {attack['name']} by eps, {space} space{images}", columns)


def notes(board: Leaderboard) -> list[str]:
    """How to read the tables, and how not to."""
    lines = ["Means over seeds; [95 % Wilson interval] of n images; ± standard deviation over seeds."]
    for attack, limit in board.limits.items():
        lines.append(
            f"AUC {attack}: mean misclassified % over L2 dissimilarity 0 to {limit:.3g}; lower is more robust."
        )
    attacks = {attack["name"] for attack in board.suite["attacks"]}
    if attacks and attacks <= WEAK:
        lines.append(
            "Only the paper's two attacks ran. They are weak: a model that withstands them is not shown to be robust."
        )
    if any(column.key.startswith("d_adv[") for column in board.columns):
        attack, eps = board.suite["attacks"][0]["name"], eps_label(board.suite["threat_model"]["eps"][0])
        lines.append(
            f"D_Adv is under {attack} at {eps}. It grows with the activations' scale; "
            "only the relative one compares models."
        )
    return lines


def renderable(board: Leaderboard) -> RenderableType:
    """Lay the leaderboard out for a rich console."""
    parts: list[RenderableType] = []
    for block in blocks(board):
        parts += [Text(block.title, style="bold"), _rich_table(board, block), Text()]
    return Group(*parts, *(Text(line, style="dim") for line in notes(board)))


def print_board(board: Leaderboard, console: Console) -> None:
    """Print the leaderboard."""
    console.print(renderable(board))


def to_markdown(board: Leaderboard) -> str:
    """Write the leaderboard as Markdown tables."""
    parts = [f"# {board.suite['name']}", ""]
    for block in blocks(board):
        parts += [f"## {block.title}", ""]
        parts.append("| model | " + " | ".join(_escaped(column.heading) for column in block.columns) + " |")
        parts.append("| --- |" + " ---: |" * len(block.columns))
        for model in board.models:
            cells = [" ".join(_cell(column, model)) for column in block.columns]
            parts.append(f"| {_escaped(model)} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join([*parts, *(f"- {line}" for line in notes(board))]) + "\n"


def _rich_table(board: Leaderboard, block: Block) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("model", no_wrap=True)
    for column in block.columns:
        table.add_column(Text(column.heading), justify="right")
    for model in board.models:
        table.add_row(Text(model), *(Text("\n".join(_cell(column, model))) for column in block.columns))
    return table


def _cell(column: Column, model: str) -> list[str]:
    """Format a figure, its interval and its deviation, each part a short line."""
    cell = column.cells.get(model)
    if cell is None:
        return ["-"]
    scale, digits = (100, 1) if column.percent else (1, 4)
    value = f"{scale * cell.value:.{digits}f}" if column.percent else f"{cell.value:.4g}"
    return [value + _deviation(cell, scale, digits, column.percent), *_interval(cell, scale, digits)]


def _deviation(cell: Cell, scale: int, digits: int, percent: bool) -> str:
    if cell.sd != cell.sd:
        return ""
    return f" ±{scale * cell.sd:.{digits}f}" if percent else f" ±{cell.sd:.1g}"


def _interval(cell: Cell, scale: int, digits: int) -> list[str]:
    if cell.interval is None:
        return []
    low, high = (f"{scale * bound:.{digits}f}" for bound in cell.interval)
    return [f"[{low}, {high}]"]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("_", "\\_")
