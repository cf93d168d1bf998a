"""`publish --check` finds every single edit of what is published, but for the last digits of floats in tables."""

import csv
import math
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.boards import alone

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.published import check, publish, rebuild
from lrbench.leaderboard.published.record import board_of

NAMES = st.text("abcdefghij.%_ é", min_size=1, max_size=12).filter(lambda name: name.strip(" .") and name != ".lock")


@pytest.fixture(scope="module")
def boards(shown_run, tmp_path_factory):
    """A board of one model, so that it is quickly made again."""
    folder = tmp_path_factory.mktemp("checked")
    publish(alone(shown_run, folder / "run", "net"), folder / "boards")
    return folder / "boards"


@pytest.fixture
def copied(boards, tmp_path):
    return Path(shutil.copytree(boards, tmp_path / "boards"))


def edited(text, data):
    """Change, insert or delete a character."""
    place = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.binary(min_size=1, max_size=1).filter(lambda new: new != text[place : place + 1]))
    how = data.draw(st.sampled_from(("change", "insert", "delete")))
    return text[:place] + (b"" if how == "delete" else new) + text[place + (how != "insert") :]


def with_another_row(text, data):
    """Delete a row, write it twice, or change places with the next one that is another."""
    lines = text.splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    how = data.draw(st.sampled_from(("delete", "twice", "exchange")))
    if how == "delete":
        del lines[place]
    elif how == "twice":
        lines.insert(place, lines[place])
    else:
        lines.insert(0, lines.pop(place))
    return b"".join(lines)


def edit(to, data):
    """Make one edit somewhere, of which the bytes, or the names, of what is there are others than before."""
    files = [path for path in sorted(to.rglob("*")) if path.is_file() and path.name != ".lock"]
    folders = [path for path in sorted(to.rglob("*")) if path.is_dir()]
    how = data.draw(st.sampled_from(("character", "character", "row", "name", "deleted", "added")))
    if how in {"character", "row"}:
        path = data.draw(st.sampled_from(files))
        path.write_bytes((edited if how == "character" else with_another_row)(path.read_bytes(), data))
        return
    path = data.draw(st.sampled_from([*files, *folders]))
    if how == "name":
        path.rename(path.parent / data.draw(NAMES.filter(lambda name: not (path.parent / name).exists())))
    elif how == "added":
        new = data.draw(st.sampled_from([to, *folders])) / data.draw(NAMES)
        if data.draw(st.booleans()):
            new.mkdir(exist_ok=True)
        elif not new.is_dir():
            new.write_bytes(path.read_bytes() if path.is_file() else b"")
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def state(to):
    return {path.relative_to(to): path.read_bytes() if path.is_file() else None for path in to.rglob("*")}


def cells(content):
    return [cell for row in csv.reader(content.decode().splitlines()) for cell in row]


def nearly(one, other):
    """Say whether two cells are the same, or say the same to eight digits with a point in both."""
    if one == other or "." not in one or "." not in other:
        return one == other
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-8)
    except ValueError:
        return False


def last_digits_alone(to, boards):
    """Say whether nothing is other than it was but last digits of a table's figures."""
    before, now = state(boards), state(to)
    if before.keys() != now.keys():
        return False
    for path, content in before.items():
        if now[path] == content:
            continue
        try:
            old, new = cells(content), cells(now[path])
        except (UnicodeDecodeError, csv.Error):
            return False
        if path.suffix != ".csv" or len(old) != len(new) or not all(map(nearly, old, new)):
            return False
    return True


@pytest.fixture
def once(monkeypatch):
    """Let a board of the same records be put together once: what is tested is what is held against it."""
    known = {}

    def board(records):
        key = tuple(record["sha256"] for record in records)
        if key not in known:
            known[key] = board_of(records)
        return known[key]

    monkeypatch.setitem(check.__globals__, "board_of", board)


@pytest.mark.slow
@pytest.mark.usefixtures("once")
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_single_edit_is_found(boards, tmp_path, data):
    to = tmp_path / "boards"
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(boards, to)
    edit(to, data)
    if last_digits_alone(to, boards):
        return
    with pytest.raises(UsageError) as found:
        check(to)
    assert len(str(found.value).splitlines()) == 1


def test_what_was_published_is_content(copied):
    assert check(copied) == 1


def scaled(table, factor):
    """Give a table each of whose figures is another."""
    rows = [row.split(",") for row in table.splitlines(keepends=True)]
    place = rows[0].index("value")
    for row in rows[1:]:
        if row[place]:
            row[place] = repr(float(row[place]) * factor)
    return "".join(",".join(row) for row in rows)


def test_figures_of_tables_may_differ_in_the_digits_in_which_libraries_do(copied):
    table = copied / "small/results.csv"
    written = table.read_text()
    table.write_text(scaled(written, 1 + 1e-10))
    assert table.read_text() != written
    assert check(copied) == 1
    for factor in (1 + 1e-6, 1 - 1e-6, -1):
        table.write_text(scaled(written, factor))
        with pytest.raises(UsageError, match=r"results\.csv is not what the records say"):
            check(copied)


@pytest.mark.parametrize(
    ("column", "new"),
    [
        ("seed", lambda old: "-" + old),
        ("seed", lambda old: f"{int(old)}.0"),
        ("n", lambda old: f"{int(old)}.0"),
        ("n", lambda old: f"{int(old)}.0000001"),
        ("n", lambda old: "0" + old),
        ("value", lambda _: "#"),
        ("value", lambda _: "nan"),
        ("value", lambda _: ""),
        ("value", lambda old: old + "0" * 1000),
        ("value", lambda old: repr(float(old) * (1 + 3e-8))),
        ("ci_high", lambda old: "-" + old),
    ],
)
def test_of_a_table_only_last_digits_of_floats_may_differ(copied, column, new):
    table = copied / "small/results.csv"
    rows = [row.split(",") for row in table.read_text().splitlines(keepends=True)]
    place = rows[0].index(column)
    row = [row for row in rows[1:] if row[place] and row[rows[0].index("value")] not in {"0.0", ""}][-1]
    row[place] = new(row[place])
    table.write_text("".join(",".join(row) for row in rows))
    with pytest.raises(UsageError, match=r"results\.csv is not what the records say"):
        check(copied)


@pytest.mark.parametrize("name", ["README.md", "index.html", "small/results.csv", "small/figures/worst-case.png"])
def test_pages_can_be_made_again_from_the_records(boards, copied, name, capsys):
    (copied / name).write_bytes(b"changed")
    assert main(["publish", "--check", "--to", str(copied)]) == 2
    said = capsys.readouterr().err
    assert f"{copied / name} is not" in said
    assert "--rebuild" in said
    assert main(["publish", "--rebuild", "--check", "--to", str(copied)]) == 0
    assert state(copied) == state(boards)


@pytest.mark.parametrize("name", ["nowhere", "a file", "empty"])
def test_a_folder_that_holds_nothing_published_is_an_error(tmp_path, name, capsys):
    if name == "a file":
        (tmp_path / name).write_text("")
    elif name == "empty":
        (tmp_path / name).mkdir()
    assert main(["publish", "--check", "--to", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert any(each in said for each in ("is no folder", "is a file; name a folder", "no published leaderboards"))
    assert main(["publish", "--rebuild", "--to", str(tmp_path / name)]) == 2
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / name])


def test_boards_in_the_place_of_a_run_are_told_their_option(copied, capsys):
    for option in ("--check", "--rebuild"):
        for place in (copied, copied / "small"):
            assert main(["publish", str(place), option]) == 2
            assert f"name it by --to {copied};" in capsys.readouterr().err


def test_what_is_left_of_a_publish_that_was_cut_off_is_found(copied):
    (copied / ".owner").write_text("process 1 on somewhere since 2026-01-01 00:00:00")
    with pytest.raises(UsageError, match="is being published to, or that was cut off"):
        check(copied)
    (copied / "small/.README.md.abc.tmp").write_bytes(b"half")
    rebuild(copied)
    assert check(copied) == 1


def test_the_boards_of_this_repository_are_as_they_were_published():
    assert check(Path(__file__).parents[2] / "leaderboards") > 0
