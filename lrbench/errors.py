"""Faults of the user's, answered in one or two lines without a traceback, and the nearest valid name."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager


class LrbenchError(Exception):
    """Something that the user can mend. The message says what, where and what would be right."""

    exit_status = 1


class UsageError(LrbenchError):
    """Wrong usage or an invalid suite; nothing has been written."""

    exit_status = 2


class TrainingDivergedError(LrbenchError):
    """The training loss became NaN or infinite."""


class Stopped(KeyboardInterrupt):
    """A run was asked to stop by a signal, whose number is its argument."""

    @property
    def exit_status(self) -> int:
        """What a shell would say of a process that the signal ended."""
        return 128 + int(self.args[0])


ALSO = {
    "lr": "learning_rate",
    "bs": "batch_size",
    "wd": "weight_decay",
    "bim": "iter-fsgm",
    "ifgsm": "iter-fsgm",
    "cw": "carlini-wagner",
    "aa": "autoattack",
    "fab": "fab-t",
    "mnist": "fashion-mnist",
    "epsilon": "eps",
}
"""What others call a thing, in small letters and without what stands between them."""


def printable(text: str) -> str:
    """Escape what would break a line or drive a terminal, so that a stranger's text can stand in a message."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def short(error: BaseException, at_most: int = 200) -> str:
    """Say in a line what an error says."""
    text = printable(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= at_most else text[: at_most - 3] + "..."


@contextmanager
def foreign(code: object, name: str) -> Iterator[None]:
    """Say in a line what somebody's own code raises; what lrbench's own raises is a fault of lrbench's, and passes.

    Raises
    ------
    UsageError
        In its place. Faults that are lines already, `ValueError` and want of memory pass as they are.
    """
    try:
        yield
    except (LrbenchError, ValueError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if str(getattr(code, "__module__", "")).partition(".")[0] == "lrbench":
            raise
        msg = f"{printable(name)} failed: {type(error).__name__}: {short(error)}"
        raise UsageError(msg) from error


def some(texts: Sequence[str], at_most: int = 3, between: str = ", ") -> str:
    """Name the first of many things, and say how many more there are."""
    more = f" and {len(texts) - at_most:,} more" if len(texts) > at_most else ""
    return between.join(texts[:at_most]) + more


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum() or char in ":.")


def nearest(name: str, valid: Iterable[str], at_most: int = 12) -> str:
    """Suggest: the nearest of the valid names, or all of them when none is near."""
    names = [str(each) for each in valid]
    spelled = {_plain(each): each for each in reversed(names)}
    close = difflib.get_close_matches(_plain(ALSO.get(_plain(name), name)), spelled, n=1, cutoff=0.6)
    if close:
        return f"did you mean {spelled[close[0]]!r}?"
    if not names:
        return "there is none to choose from"
    listed = ", ".join(printable(each) for each in names[:at_most]) + (", ..." if len(names) > at_most else "")
    return f"valid: {listed}"
