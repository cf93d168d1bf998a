"""What a chain promises, of memory and of an S3-compatible server alike."""

import pytest

from lrbench.store.chain import NOBODY, Chain, Entry

MINE = Entry("held", "me", 1.0, "mine")
THEIRS = Entry("held", "them", 2.0, "theirs")

pytestmark = pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)


@pytest.fixture
def chain(root):
    return Chain(root / "chain")


def test_the_last_link_counts_and_the_others_go(chain):
    assert chain.last() == (0, NOBODY)
    assert chain.add(0, MINE)
    assert chain.add(1, THEIRS)
    assert chain.last() == (2, THEIRS)
    assert len(list(chain.folder.iterdir())) == 1


def test_a_number_is_given_once(chain):
    assert chain.add(0, MINE)
    assert not chain.add(0, THEIRS)
    assert chain.last() == (1, MINE)


def test_who_slept_while_links_came_and_went_adds_nothing(chain):
    for number in range(3):
        assert chain.add(number, THEIRS)
    assert not chain.add(1, MINE)
    assert chain.last() == (3, THEIRS)
    assert len(list(chain.folder.iterdir())) == 1


def test_a_link_whose_answer_was_lost_is_known_again(chain, monkeypatch):
    create = chain.folder.fs.pipe_file

    def lose_the_answer(*given, **options):
        create(*given, **options)
        raise TimeoutError

    monkeypatch.setattr(chain.folder.fs, "pipe_file", lose_the_answer)
    assert chain.add(0, MINE)
    assert chain.last() == (1, MINE)


def test_what_a_crash_left_behind_is_removed_by_the_next(chain, monkeypatch):
    monkeypatch.setattr(Chain, "_remove", lambda *_: None)
    assert chain.add(0, THEIRS)
    assert chain.add(1, THEIRS)
    monkeypatch.undo()
    assert len(list(chain.folder.iterdir())) == 2
    assert chain.add(2, MINE)
    assert [path.name for path in chain.folder.iterdir()] == ["000000000003"]


def test_a_store_that_does_not_answer_is_an_error_and_no_free_lock(chain, monkeypatch):
    def away(*_given, **_options):
        raise ConnectionResetError("away")

    monkeypatch.setattr(chain.folder.fs, "ls", away)
    with pytest.raises(OSError, match="away"):
        chain.last()
