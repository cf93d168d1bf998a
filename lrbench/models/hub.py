"""Files of the Hugging Face hub: those that were fetched are not asked for again, and what cannot be had is a line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from lrbench.errors import UsageError, short

T = TypeVar("T")

SECONDS = 10
"""To wait for the hub's first answer."""


def hub_page(name: str) -> str:
    """Give the address of a model, ORG/NAME or ORG/NAME@REVISION."""
    from huggingface_hub import constants  # noqa: PLC0415

    repository, _, revision = name.partition("@")
    return f"{constants.ENDPOINT}/{repository}" + (f"/tree/{revision}" if revision else "")


def commit_of(name: str) -> str:
    """Give ORG/NAME@COMMIT of a model whose config.json was fetched."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

    repository, _, revision = name.partition("@")
    found = try_to_load_from_cache(repository, "config.json", revision=revision or None)
    # The cache keeps a folder of each commit.
    return f"{repository}@{Path(str(found)).parent.name}"


def cached_or_fetched(get: Callable[[], T], what: str, source: str) -> T:
    """Call what takes files from the hub's cache, and, where they are not there, from the hub.

    Parameters
    ----------
    get : callable
    what : str
        Said where it cannot be had.
    source : str

    Raises
    ------
    UsageError
        If the hub cannot be reached, or does not give it.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled  # noqa: PLC0415

    with had(what, source):
        try:
            # By itself it would ask the hub each time whether a file has changed, and without network several times.
            with _offline():
                return get()
        except (LocalEntryNotFoundError, OfflineModeIsEnabled):
            _reach()
        return get()


@contextmanager
def had(what: str, source: str) -> Iterator[None]:
    """Say in a line what could not be fetched and from where.

    Raises
    ------
    UsageError
        In place of the error of who fetches, or checks what was fetched.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch.hub's word for a file that is not what its name promises.
        if isinstance(error, OSError) or "invalid hash value" in str(error):
            msg = f"cannot get {what} from {source}: {short(error, 120)}"
            raise UsageError(msg) from error
        raise


def _reach() -> None:
    """Ask the hub for a sign of life, since it is asked for files again and again before that is given up.

    Raises
    ------
    ConnectionError
        If there is none.
    """
    from huggingface_hub import constants, get_session  # noqa: PLC0415

    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    # Of the library that it fetches with, which differs by version.
    except Exception as error:
        raise ConnectionError(short(error)) from error


@contextmanager
def _offline() -> Iterator[None]:
    from huggingface_hub import constants  # noqa: PLC0415

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
