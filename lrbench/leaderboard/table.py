"""One description of a table of text, and every form that it is written in."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from lrbench.leaderboard.text import in_latex, in_markdown

Parts = Sequence[str]
"""What stands in a cell: lines below each other where there is room for them."""


@dataclass(frozen=True)
class TextTable:
    """A table of text.

    Attributes
    ----------
    title : str
        Empty for none.
    headings : sequence of sequence of str
        A cell each.
    rows : sequence of sequence of sequence of str
        A cell for each heading.
    words : int
        Columns of words, the first ones; the others are figures, and stand to the right.
    """

    title: str
    headings: Sequence[Parts]
    rows: Sequence[Sequence[Parts]]
    words: int = 1

    def in_terminal(self) -> RichTable:
        """Lay it out for a rich console, without its title; the first column is not broken."""
        table = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for index, heading in enumerate(self.headings):
            side = "left" if index < self.words else "right"
            text = Text("\n".join(heading))
            table.add_column(text, justify=side, no_wrap=index == 0, overflow="fold")  # type: ignore[arg-type]
        for row in self.rows:
            table.add_row(*(Text("\n".join(cell)) for cell in row))
        return table

    def in_markdown(self) -> list[str]:
        """Write it as lines of Markdown, the title as a heading of the second level."""
        lines = [f"## {in_markdown(self.title)}", ""] if self.title else []
        lines.append(f"| {' | '.join(in_markdown(', '.join(heading)) for heading in self.headings)} |")
        lines.append("|" + " --- |" * self.words + " ---: |" * (len(self.headings) - self.words))
        lines += [f"| {' | '.join(in_markdown(' '.join(cell)) for cell in row)} |" for row in self.rows]
        return [*lines, ""]

    def in_latex(self) -> list[str]:
        """Write it as lines of LaTeX (package booktabs), the title as a comment."""
        columns = "l" * self.words + "r" * (len(self.headings) - self.words)
        return [
            *([f"% {in_latex(self.title)}"] if self.title else []),
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_row([", ".join(heading) for heading in self.headings]),
            r"\midrule",
            *(_latex_row([" ".join(cell) for cell in row]) for row in self.rows),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]

    def in_html(self) -> str:
        """Write it as HTML."""
        head = "".join(f"<th>{escape(' '.join(heading))}</th>" for heading in self.headings)
        rows = "".join(
            f"<tr><th>{escape(' '.join(first))}</th>"
            + "".join(f"<td>{escape(' '.join(cell))}</td>" for cell in cells)
            + "</tr>"
            for first, *cells in self.rows
        )
        return f"<p>{escape(self.title)}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(in_latex, cells)) + r" \\"
