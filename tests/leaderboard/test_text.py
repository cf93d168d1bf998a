"""Names that would be markup come out as text, in every format."""

import csv
import io
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from rich.console import Console
from support.boards import NASTY, SPECIAL

from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.figure_text import write_value
from lrbench.leaderboard.paired import compare
from lrbench.leaderboard.paired_text import FORMATS, Wanted, print_paired
from lrbench.leaderboard.render import print_board
from lrbench.leaderboard.report import report
from lrbench.leaderboard.text import in_latex, in_markdown


class Texts(HTMLParser):
    """What a browser would show, and which scripts it would run."""

    def __init__(self):
        super().__init__()
        self.texts, self.scripts, self.inside = [], 0, None

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        self.inside = tag
        assert not any(name.startswith("on") for name, _ in attributes)

    def handle_endtag(self, _tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside not in {"script", "style"}:
            self.texts.append(data)


def test_html(shown_run):
    parser = Texts()
    parser.feed(report(shown_run))
    shown = "\n".join(parser.texts)
    assert NASTY in shown
    assert SPECIAL in shown
    assert parser.scripts == 2, "the charts' JSON and the page's own"
    board = Leaderboard.load(shown_run)
    parser = Texts()
    parser.feed(board._repr_html_())
    assert parser.scripts == 0
    assert NASTY in "".join(parser.texts)


def test_csv(shown_run):
    for name in ("results.csv", "leaderboard.csv"):
        with (shown_run / name).open(newline="") as file:
            assert {NASTY, SPECIAL} <= {row["model"] for row in csv.DictReader(file)}
        assert {NASTY, SPECIAL} <= set(pd.read_csv(shown_run / name)["model"])
    found = compare(f"{shown_run}:{NASTY}", f"{shown_run}:{SPECIAL}")
    (row, *_) = csv.DictReader(io.StringIO(FORMATS["csv"](found, Wanted())))
    assert row["a"].endswith(f":{NASTY}")
    assert row["b"].endswith(f":{SPECIAL}")


def test_latex(shown_run):
    text = FORMATS["latex"](compare(f"{shown_run}:{NASTY}", f"{shown_run}:{SPECIAL}"), Wanted())
    assert "<script>" not in text
    assert r"a \& b\_50\% \$x\$ \#1" in text
    escaped = in_latex(SPECIAL)
    assert not re.search(r"(?<!\\)[&%$#_]", escaped)


def test_markdown(shown_run):
    text = (shown_run / "leaderboard.md").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert in_markdown(SPECIAL) in text
    columns = {line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("| a &amp;")}
    headers = {line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("| model")}
    assert columns <= headers


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (3.9e-17, "under 1e-10"), (-3.9e-17, "0"), (2e-10, "2e-10"), (0.04, "0.04"), (1.0, "1")],
)
def test_a_figure_that_is_not_0_is_not_shown_as_0(value, shown):
    assert write_value(value, "number") == shown


@pytest.mark.parametrize("wrong", [501, 571, 1279, 1999, 1, 2001, 35])
def test_halves_of_a_tenth_are_rounded_up_whatever_their_bits(wrong):
    tenths = (wrong * 10 + 10) // 20
    for share in (wrong / 2000, 1 - (2000 - wrong) / 2000, sum([wrong / 500 / 4 / 3] * 3)):
        assert write_value(share, "percent") == f"{tenths // 10}.{tenths % 10}"
        assert write_value(share, "points") == f"+{tenths // 10}.{tenths % 10}"
        assert write_value(-share, "points") == f"-{tenths // 10}.{tenths % 10}"


def test_what_is_no_number_is_written_as_one_that_is_not():
    assert write_value(float("nan"), "percent") == "nan"
    assert float(write_value(1e25, "percent")) == pytest.approx(1e27)
    assert write_value(-0.0, "points") == "+0.0"


def test_terminal(shown_run):
    buffer = io.StringIO()
    console = Console(file=buffer, width=400, color_system=None)
    print_board(Leaderboard.load(shown_run), console)
    print_paired(compare(f"{shown_run}:{NASTY}", f"{shown_run}:{SPECIAL}"), console)
    assert NASTY in buffer.getvalue()
    assert SPECIAL in buffer.getvalue()


@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines"])
def test_control_characters_of_a_stranger_s_table_do_not_reach_the_terminal(shown_run, name):
    board = Leaderboard.load(shown_run)
    table = board.results.assign(model=board.results["model"].replace("net", name))
    buffer = io.StringIO()
    print_board(Leaderboard(table, board.suite), Console(file=buffer, width=400, color_system=None))
    assert name not in buffer.getvalue()
    assert repr(name)[1:-1] in buffer.getvalue()
