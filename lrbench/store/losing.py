"""How a lease is lost, in words."""

from pathlib import Path

from lrbench.store.chain import NOBODY, Entry
from lrbench.store.lock import removed
from lrbench.store.write import StoreError

STALE_SECONDS = 120.0
"""Older than this by the reader's clock, a lease holds nobody up; clocks may differ by less."""


def unanswered(root: Path, error: OSError) -> StoreError:
    """Say that a place does not answer."""
    return StoreError(f"cannot write to {root}: {error}; what was finished is kept, run the command again")


def lost(root: Path, entry: Entry) -> StoreError:
    """Say who has a lease now."""
    if entry == NOBODY:
        return removed(root)
    return StoreError(
        f"{root} was taken over by {entry.owner}, since this one was not heard of for {STALE_SECONDS:g} s; "
        "it writes no more, and what it had finished is kept"
    )
