import io
import shutil

import pytest
import yaml
from rich.console import Console
from support.boards import renamed, resealed

from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.published import rebuild
from lrbench.leaderboard.render import print_board, to_markdown
from lrbench.leaderboard.report import report

ASKED = "Is b <b>more</b> robust? Confirmed: p < 0.05 | *else* not."


def asking(question):
    return lambda content: content["configuration"].update(question=question)


@pytest.fixture
def boards(pair_boards, tmp_path):
    to = shutil.copytree(pair_boards, tmp_path / "to")
    shutil.copy(to / "small/records/net.json", to / "small/records/other.json")
    resealed(to / "small/records/other.json", lambda content: renamed(content, "other"))
    for record in (to / "small/records").glob("*.json"):
        resealed(record, asking(ASKED))
    return to


def test_a_page_begins_with_what_its_suite_asks(boards):
    rebuild(boards)
    page = (boards / "small/README.md").read_text()
    assert (
        r"> **Question:** Is b &lt;b&gt;more&lt;/b&gt; robust? Confirmed: p &lt; 0.05 \| \*else\* not."
        in page.splitlines()[:4]
    )
    assert "Where that commit refuses the key `question`, take it out of the suite" in page
    assert "(`OMP_NUM_THREADS=" in page
    assert yaml.safe_load((boards / "small/suite.yaml").read_text())["question"] == ASKED


def test_where_records_ask_different_things_the_page_asks_none(boards):
    resealed(boards / "small/records/other.json", asking("Is c?"))
    rebuild(boards)
    page = (boards / "small/README.md").read_text()
    assert "robust?" not in page
    assert "Is c?" not in page
    assert "is put together of several" in page


def test_a_run_s_tables_and_report_begin_with_it(pair_run, tmp_path):
    run = shutil.copytree(pair_run, tmp_path / "run")
    suite = yaml.safe_load((run / "suite.yaml").read_text())
    (run / "suite.yaml").write_text(yaml.safe_dump({**suite, "question": ASKED}))
    board = Leaderboard.load(run)
    text = io.StringIO()
    print_board(board, Console(width=200, file=text))
    assert to_markdown(board).splitlines()[2].startswith("> **Question:** Is b")
    assert "Is b &lt;b&gt;more&lt;/b&gt; robust?" in report(run)
    assert text.getvalue().startswith(ASKED)


def test_without_a_question_nothing_stands_there(pair_run):
    assert ">" not in to_markdown(Leaderboard.load(pair_run)).splitlines()[2]
    assert "<blockquote" not in report(pair_run)


@pytest.mark.parametrize("begins", ["- ", "1. ", "---", "# "])
def test_a_question_is_a_paragraph_however_it_begins(pair_run, begins):
    board = Leaderboard.load(pair_run)
    board.suite["question"] = f"{begins}is it?"
    assert to_markdown(board).splitlines()[2].startswith("> **Question:** ")
