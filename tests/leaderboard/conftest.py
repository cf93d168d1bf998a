"""Runs and boards to look at, made once for all processes of a test run, which only read them."""

import pytest
from support.boards import alone
from support.shared import made_once

from lrbench.leaderboard.published import publish


@pytest.fixture(scope="session")
def pair_run(shown_run, shared):
    """As one of the first two models of `shown_run` would be: for whoever needs no more, in half of the time."""
    return made_once(shared / "pair", lambda path: alone(shown_run, path / "run", "net", "lr")) / "run"


@pytest.fixture(scope="session")
def shown_boards(shown_run, shared):
    return made_once(shared / "shown-boards", lambda path: publish(shown_run, path))


@pytest.fixture(scope="session")
def pair_boards(pair_run, shared):
    return made_once(shared / "pair-boards", lambda path: publish(pair_run, path))
