"""A comparison for readers: in a terminal, as Markdown, CSV, JSON or LaTeX."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from lrbench.errors import some
from lrbench.leaderboard.conclusion import conclusion, required, requirement
from lrbench.leaderboard.layout import labels
from lrbench.leaderboard.paired import Difference, Paired
from lrbench.leaderboard.said import is_weak
from lrbench.leaderboard.sides import Side
from lrbench.leaderboard.table import TextTable
from lrbench.leaderboard.text import beside_each_other, in_latex, in_markdown
from lrbench.views import in_percent, in_points

HEADINGS = ("attack", "radius", "A %", "B %", "B - A, points", "95 % interval", "p", "adjusted p")
CSV_COLUMNS = (
    "a", "b", "attack", "eps", "space", "seeds", "n", "robust_accuracy_a", "robust_accuracy_b", "difference", "ci_low",
    "ci_high", "p", "p_adjusted", "only_a", "only_b",
)  # fmt: skip
SHOWN = 12

Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Wanted:
    """What to say beside the table: which images flipped, and what a difference (a share) would need to be found."""

    images: bool = False
    difference: float | None = None


def print_paired(found: Sequence[Paired], console: Console, wanted: Wanted = Wanted()) -> None:
    """Print comparisons as tables, with what differs in the making, and what they come to."""
    for each in found:
        table = _table(each)
        console.print(Text(table.title, style="bold"))
        console.print(table.in_terminal())
        for line in remarks(each, wanted):
            console.print(Text(line, style="dim"))
        console.print(Text(conclusion(each)))
        console.print()


def title(paired: Paired) -> str:
    """Say what is compared."""
    return f"A = {paired.first}, B = {paired.second}"


def rows(paired: Paired) -> Rows:
    """Cells of the table, as text."""
    return [
        (
            each.attack or "clean",
            paired.radius(each.eps) if each.attack else "",
            in_percent(each.first),
            in_percent(each.second),
            in_points(each.estimate.difference),
            f"[{', '.join(map(in_points, each.estimate.interval))}]",
            f"{each.estimate.p:.3g}",
            f"{each.p_adjusted:.3g}",
        )
        for each in paired.differences
    ]


def _table(paired: Paired) -> TextTable:
    return TextTable(title(paired), [[name] for name in HEADINGS], [[[cell] for cell in row] for row in rows(paired)])


def remarks(paired: Paired, wanted: Wanted) -> list[str]:
    """Lines below the table."""
    found = paired.headline.estimate
    lines = [
        f"Robust accuracy %, {paired.space} space, n = {found.images} images, {found.seeds} "
        f"seed{'s' * (found.seeds > 1)}. Positive: B is more robust. {_adjusted(paired)}"
    ]
    for name, side in _sides(paired):
        board = side.run.board
        lines += [f"{name}: {line}" for line in (*board.cautions(side.model), *board.unread)]
    if wanted.images:
        lines += [line for each in paired.differences for line in _flipped(each, paired)]
    if paired.fewer:
        lines.append(f"Over the seeds for which both have it: {'; '.join(paired.fewer)}.")
    if paired.skipped:
        lines.append(f"Not compared: {'; '.join(paired.skipped)}.")
    if weak := _only_weak(paired):
        lines.append(f"Only {weak} compared: to withstand weak attacks is not to be robust.")
    if paired.unit_is_open:
        lines.append(
            "Radii are in standard deviations of the training images' pixels, which a published board does not keep: "
            "make sure that both are of the same."
        )
    for what, differing in (("Configuration", paired.configuration), ("Environment", paired.environment)):
        if differing:
            lines.append(f"{what}: {'; '.join(f'{key}: {_written(*values)}' for key, values in differing.items())}.")
        else:
            lines.append(f"{what}: the same.")
    if wanted.difference is not None:
        lines += required(paired, requirement(paired, wanted.difference))
    return lines


def _only_weak(paired: Paired) -> str:
    """Name the attacks that are compared, if none is strong."""
    board = paired.first.run.board
    names = dict(zip(labels(board.suite), (attack["name"] for attack in board.suite["attacks"]), strict=True))
    ran = dict.fromkeys(each.attack for each in paired.differences if each.attack in names)
    weak = bool(ran) and all(is_weak(names[label], board.status.attacks) for label in ran)
    return f"{', '.join(ran)} {'is' if len(ran) == 1 else 'are'}" if weak else ""


def _adjusted(paired: Paired) -> str:
    worst, others = (len(paired.family(counts=counts)) for counts in (True, False))
    if not worst or not others:
        return f"p adjusted for {_number(len(paired.differences), 'row')} (Holm)."
    return f"p adjusted (Holm) for {_number(worst, 'worst-case row')}, and for {_number(others, 'other')}."


def _number(count: int, name: str) -> str:
    return f"the {count} {name}s" if count > 1 else f"the one {name}"


def _sides(paired: Paired) -> list[tuple[str, Side]]:
    return [("A", paired.first), ("B", paired.second)]


def _flipped(each: Difference, paired: Paired) -> list[str]:
    where = f"{each.attack} at {paired.radius(each.eps)}" if each.attack else "clean"
    lines = []
    for name, per_seed in (("A", each.only_first), ("B", each.only_second)):
        images = sorted({image for seed in per_seed for image in seed})
        if images:
            lines.append(f"{where}, wrong in {name} alone: {some([*map(str, images)], SHOWN)}.")
    return lines


def _written(first: Any, second: Any) -> str:  # noqa: ANN401
    return " | ".join(beside_each_other(json.dumps(first), json.dumps(second)))


def to_markdown(found: Sequence[Paired], wanted: Wanted) -> str:
    """Write comparisons as Markdown."""
    parts = []
    for each in found:
        parts += [*_table(each).in_markdown(), *(f"- {in_markdown(line)}" for line in remarks(each, wanted)), ""]
        parts += [in_markdown(conclusion(each)), ""]
    return "\n".join(parts)


def to_csv(found: Sequence[Paired], wanted: Wanted) -> str:  # noqa: ARG001
    """Write comparisons as tidy CSV, shares in [0, 1]."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for each in found:
        for row in each.differences:
            estimate = row.estimate
            counts = (sum(map(len, row.only_first)), sum(map(len, row.only_second)))
            shares = (row.first, row.second, estimate.difference, *estimate.interval, estimate.p, row.p_adjusted)
            where = (each.first, each.second, row.attack, row.eps, each.space, estimate.seeds, row.n)
            writer.writerow((*where, *shares, *counts))
    return buffer.getvalue()


def to_json(found: Sequence[Paired], wanted: Wanted) -> str:
    """Write comparisons as JSON, with the images that flipped, seed by seed."""
    content = [
        {
            "a": str(each.first),
            "b": str(each.second),
            "space": each.space,
            "norm": each.norm,
            "seeds": {"a": each.first.seeds, "b": each.second.seeds},
            "differences": [_row(row, each) for row in each.differences],
            "conclusion": conclusion(each),
            "not_compared": each.skipped,
            "fewer_seeds": each.fewer,
            "not_read": {name.lower(): side.run.board.unread for name, side in _sides(each)},
            "configuration": each.configuration,
            "environment": each.environment,
        }
        | ({} if wanted.difference is None else {"needed": asdict(requirement(each, wanted.difference))})
        for each in found
    ]
    return json.dumps(content, indent=1) + "\n"


def _row(row: Difference, paired: Paired) -> dict[str, Any]:
    sides = (("a", paired.first), ("b", paired.second))
    return {
        "attack": row.attack,
        "eps": row.eps,
        "seeds": {name: [side.seeds[index] for index in row.seeds] for name, side in sides},
        "n": row.n,
        "robust_accuracy": {"a": row.first, "b": row.second},
        "difference": row.estimate.difference,
        "interval": row.estimate.interval,
        "p": row.estimate.p,
        "p_adjusted": row.p_adjusted,
        "variance": asdict(row.estimate.components),
        "only_a": row.only_first,
        "only_b": row.only_second,
    }


def to_latex(found: Sequence[Paired], wanted: Wanted) -> str:  # noqa: ARG001
    """Write comparisons as LaTeX tables (package booktabs), each with what it comes to."""
    parts = []
    for each in found:
        parts += [*_table(each).in_latex(), in_latex(_adjusted(each)), in_latex(conclusion(each)), ""]
    return "\n".join(parts)


FORMATS: dict[str, Callable[[Sequence[Paired], Wanted], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
}
