"""A comparison for readers: in a terminal, as Markdown, CSV, JSON or LaTeX."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrbench.leaderboard.layout import eps_label
from lrbench.leaderboard.paired import Difference, Paired
from lrbench.leaderboard.text import in_latex, in_markdown

HEADINGS = ("attack", "radius", "A %", "B %", "B - A, points", "95 % interval", "p", "only A", "only B")
CSV_COLUMNS = (
    "a", "b", "attack", "eps", "space", "n", "misclassification_a", "misclassification_b", "difference", "ci_low",
    "ci_high", "p", "only_a", "only_b",
)  # fmt: skip
SHOWN = 12

Rows = list[tuple[str, ...]]


def print_paired(found: Sequence[Paired], console: Console) -> None:
    """Print comparisons as tables, with what flipped and what differs in the making."""
    for each in found:
        console.print(Text(title(each), style="bold"))
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for place, heading in enumerate(HEADINGS):
            table.add_column(heading, justify="left" if place < 1 else "right")
        for row in rows(each):
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
        for line in remarks(each):
            console.print(Text(line, style="dim"))
        console.print()


def title(paired: Paired) -> str:
    """Say what is compared."""
    return f"A = {paired.first}, B = {paired.second}"


def rows(paired: Paired) -> Rows:
    """Cells of the table, as text."""
    return [
        (
            each.attack or "clean",
            eps_label(each.eps, paired.norm) if each.attack else "",
            f"{100 * each.first:.1f}",
            f"{100 * each.second:.1f}",
            f"{100 * each.difference:+.1f}",
            f"[{100 * each.interval[0]:+.1f}, {100 * each.interval[1]:+.1f}]",
            f"{each.p:.3g}",
            _counts(each.only_first),
            _counts(each.only_second),
        )
        for each in paired.differences
    ]


def _counts(per_seed: list[list[int]]) -> str:
    return ", ".join(str(len(images)) for images in per_seed)


def remarks(paired: Paired) -> list[str]:
    """Lines below the table."""
    n, seeds = paired.differences[0].n, len(paired.first.seeds)
    lines = [
        f"Misclassified %, {paired.space} space, n = {n} images, {seeds} seed{'s' * (seeds > 1)}. Negative: B is "
        "fooled less often. Interval by paired bootstrap over images"
        + (" of the mean over seeds" if seeds > 1 else "")
        + "; p by McNemar's exact test"
        + (", the largest over seeds." if seeds > 1 else "."),
        "only A, only B: images that only one of them gets wrong" + (", seed by seed." if seeds > 1 else "."),
    ]
    lines += [line for each in paired.differences for line in _flipped(each, paired.norm)]
    if not any(any(each.only_first) or any(each.only_second) for each in paired.differences):
        lines.append("No difference: both get the same images wrong everywhere.")
    if paired.skipped:
        lines.append(f"Not compared, since only one of them has it: {'; '.join(paired.skipped)}.")
    for what, differing in (("Configuration", paired.configuration), ("Environment", paired.environment)):
        if differing:
            lines.append(f"{what}: {'; '.join(f'{k}: {_short(a)} | {_short(b)}' for k, (a, b) in differing.items())}.")
        else:
            lines.append(f"{what}: the same.")
    return lines


def _flipped(each: Difference, norm: str) -> list[str]:
    where = f"{each.attack} at {eps_label(each.eps, norm)}" if each.attack else "clean"
    lines = []
    for name, per_seed in (("A", each.only_first), ("B", each.only_second)):
        images = sorted({image for seed in per_seed for image in seed})
        if images:
            more = f" and {len(images) - SHOWN} more" if len(images) > SHOWN else ""
            lines.append(f"{where}, wrong in {name} alone: {', '.join(map(str, images[:SHOWN]))}{more}.")
    return lines


def _short(value: Any) -> str:  # noqa: ANN401
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def to_markdown(found: Sequence[Paired]) -> str:
    """Write comparisons as Markdown."""
    parts = []
    for each in found:
        parts += [f"## {in_markdown(title(each))}", "", f"| {' | '.join(HEADINGS)} |"]
        parts.append("| --- |" + " ---: |" * (len(HEADINGS) - 1))
        parts += ["| " + " | ".join(in_markdown(cell) for cell in row) + " |" for row in rows(each)]
        parts += ["", *(f"- {in_markdown(line)}" for line in remarks(each)), ""]
    return "\n".join(parts)


def to_csv(found: Sequence[Paired]) -> str:
    """Write comparisons as tidy CSV, shares in [0, 1]."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for each in found:
        for row in each.differences:
            counts = (sum(map(len, row.only_first)), sum(map(len, row.only_second)))
            shares = (row.first, row.second, row.difference, *row.interval, row.p)
            writer.writerow((each.first, each.second, row.attack, row.eps, each.space, row.n, *shares, *counts))
    return buffer.getvalue()


def to_json(found: Sequence[Paired]) -> str:
    """Write comparisons as JSON, with the images that flipped, seed by seed."""
    content = [
        {
            "a": str(each.first),
            "b": str(each.second),
            "space": each.space,
            "norm": each.norm,
            "seeds": {"a": each.first.seeds, "b": each.second.seeds},
            "differences": [
                {
                    "attack": row.attack,
                    "eps": row.eps,
                    "n": row.n,
                    "misclassification": {"a": row.first, "b": row.second},
                    "difference": row.difference,
                    "interval": row.interval,
                    "p": row.p,
                    "only_a": row.only_first,
                    "only_b": row.only_second,
                }
                for row in each.differences
            ],
            "not_compared": each.skipped,
            "configuration": each.configuration,
            "environment": each.environment,
        }
        for each in found
    ]
    return json.dumps(content, indent=1) + "\n"


def to_latex(found: Sequence[Paired]) -> str:
    """Write comparisons as LaTeX tables (package booktabs)."""
    parts = []
    for each in found:
        parts += [rf"% {in_latex(title(each))}", r"\begin{tabular}{l" + "r" * (len(HEADINGS) - 1) + "}", r"\toprule"]
        parts.append(" & ".join(in_latex(heading) for heading in HEADINGS) + r" \\")
        parts.append(r"\midrule")
        parts += [" & ".join(in_latex(cell) for cell in row) + r" \\" for row in rows(each)]
        parts += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(parts)


FORMATS: dict[str, Callable[[Sequence[Paired]], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
}
