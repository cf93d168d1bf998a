"""When a record was published, and how long its steps took: kept in it, and on every page of its board."""

import json
import re
import shutil

import pytest
from support.boards import resealed

from lrbench.errors import UsageError
from lrbench.leaderboard.kept import read_record
from lrbench.leaderboard.published import check, publish, rebuild
from lrbench.leaderboard.text import duration
from lrbench.store import Store

pytestmark = pytest.mark.usefixtures("unpictured")


@pytest.fixture
def boards(pair_boards, tmp_path):
    return shutil.copytree(pair_boards, tmp_path / "boards")


def records_of(boards):
    return {path.stem: path for path in sorted((boards / "small/records").iterdir())}


def dated(day):
    return lambda content: content.update(published=day)


def pages(boards):
    return [(boards / name).read_text("utf-8") for name in ("README.md", "index.html", "small/README.md")]


def test_a_record_says_the_day_and_what_its_steps_took(pair_run, boards):
    taken = {record.id: record.seconds for record in Store(pair_run).view().records()}
    for model, path in records_of(boards).items():
        record = json.loads(path.read_text("utf-8"))
        mine = sum(taken[step] for step in record["artefacts"])
        assert mine > 0
        assert record["steps"]["seconds"] == pytest.approx(mine, abs=0.051), model
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", record["published"])


def test_every_page_says_it_for_its_board(boards):
    for path, day in zip(records_of(boards).values(), ("2026-01-02", "2026-03-04"), strict=True):
        resealed(path, lambda content, day=day: content.update(published=day))
        resealed(path, lambda content: content["steps"].update(seconds=4000.0))
    rebuild(boards)
    index, html, board = pages(boards)
    commit = json.loads(next(iter(records_of(boards).values())).read_text("utf-8"))["environments"][0]["commit"]
    for page in (index, html):
        assert "2026-01-02 to 2026-03-04" in page
        assert duration(8000) in page
        assert commit in page
    assert f"| 2026-01-02 | {duration(4000)} | {commit} |" in board
    assert check(boards) == 2


def test_what_says_the_same_keeps_its_day_and_what_does_not_gets_a_new_one(pair_run, boards):
    first, second = records_of(boards).values()
    today = read_record(first)["published"]
    for path in (first, second):
        resealed(path, dated("2020-02-03"))
    resealed(second, lambda content: content["steps"].update(seconds=1.0))
    before = first.read_bytes()
    publish(pair_run, boards)
    assert first.read_bytes() == before, "published again, nothing changes"
    assert read_record(second)["published"] >= today
    assert check(boards) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("published"),
        lambda content: content.update(published="yesterday"),
        lambda content: content.update(published="2026-02-30"),
        lambda content: content.update(published="20260203"),
        lambda content: content.update(published="2026-W05-2"),
        lambda content: content.update(published="2026-02-03T00:00"),
        lambda content: content.update(published=20260203),
        lambda content: content["steps"].pop("seconds"),
        lambda content: content["steps"].update(seconds=-1.0),
        lambda content: content["steps"].update(seconds=float("nan")),
        lambda content: content["steps"].update(seconds="60"),
        *(
            lambda content, threads=threads: content["environments"][0].update(torch_threads=threads)
            for threads in ("1`. <b>It</b>", [1], {"a": 1}, True, -3, 0, 1.0)
        ),
    ],
)
def test_a_record_without_a_day_or_a_time_is_refused(boards, change):
    path = records_of(boards)["net"]
    resealed(path, change)
    with pytest.raises(UsageError, match="is no record"):
        read_record(path)


def test_an_older_one_need_not_say_it_and_its_board_does_not_make_it_up(boards):
    def age(content):
        content["format"] = 3
        del content["published"], content["steps"]["seconds"]

    path = records_of(boards)["net"]
    resealed(path, age)
    resealed(records_of(boards)["lr"], dated("2026-01-02"))
    rebuild(boards)
    index, html, board = pages(boards)
    assert "| 2026-01-02 | - |" in index, "the time of one of two says nothing of the board's"
    assert "steps took: -;" in html
    (line,) = (each for each in board.splitlines() if "records/net.json" in each)
    assert "| - | - |" in line
    assert check(boards) == 2
