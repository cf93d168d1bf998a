"""Numbered objects, each made once and by one process alone: compare-and-swap on any store that can create."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lrbench.store.exchange import create
from lrbench.store.write import os_errors, read_file

State = Literal["asking", "held", "ended", "broken"]

DIGITS = 12
TRIES = 5


@dataclass(frozen=True)
class Entry:
    """What a link of a chain says.

    Attributes
    ----------
    state : {"asking", "held", "ended", "broken"}
        What its writer does with what the chain stands for; `broken` means that its owner was not heard of.
    owner : str
        Who, for people.
    written : float
        When, in seconds since 1970 by the writer's clock.
    token : str
        Of the writer alone.
    """

    state: State
    owner: str
    written: float
    token: str


NOBODY = Entry("ended", "", 0.0, "")


class Chain:
    """Links numbered from 1, of which the last counts.

    A link is only ever created, never replaced, so that whoever adds number N + 1 knows that nobody else did since
    number N was read. Links before the last are removed; the last never is, so that numbers only grow. Somebody who
    slept between reading and adding may create a number that was removed meanwhile: a higher one is there then, and
    the one too many is taken back. This needs a store whose listing shows what was written (S3, Google, Azure do).

    Parameters
    ----------
    folder : Path
        In an object store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Any = folder

    def number(self) -> int:
        """Give the last link's number; 0 if there is none.

        Raises
        ------
        OSError
            If the store gives no answer.
        """
        return max(self._numbers(), default=0)

    def last(self) -> tuple[int, Entry]:
        """Give the last link's number, and the link; 0 and one of nobody's if there is none.

        Raises
        ------
        OSError
            If the store gives no answer.
        """
        for _ in range(TRIES):
            number = self.number()
            entry = self._read(number) if number else NOBODY
            # One that was removed since it was listed has a higher one after it.
            if entry is not None:
                return number, entry
        msg = f"{self.folder}: what is listed cannot be read"
        raise OSError(msg)

    def add(self, after: int, entry: Entry) -> bool:
        """Add a link after the one with that number; False if that is not the last any more.

        Raises
        ------
        OSError
            If the store gives no answer: it may have been added or not.
        """
        number = after + 1
        if not self._create(number, entry):
            return False
        numbers = self._numbers()
        ours = max(numbers, default=0) == number
        for other in [each for each in numbers if each < number] if ours else [number]:
            self._remove(other)
        return ours

    def _create(self, number: int, entry: Entry) -> bool:
        content = json.dumps(asdict(entry)).encode()
        for last_try in (False, False, True):
            try:
                with os_errors():
                    create(self.folder / _name(number), content)
            except OSError:
                # Stores say in different words that it is there; and it may be ours, if only the answer was lost.
                there = self._read(number)
                if there is not None:
                    return there == entry
                if last_try:
                    raise
            else:
                return True
        raise AssertionError

    def _read(self, number: int) -> Entry | None:
        try:
            with os_errors():
                return Entry(**json.loads(read_file(self.folder / _name(number))))
        except FileNotFoundError:
            return None

    def _remove(self, number: int) -> None:
        # One that is left is removed with the next link.
        with suppress(OSError), os_errors():
            self.folder.fs.rm_file(self._path(number))

    def _numbers(self) -> list[int]:
        try:
            with os_errors():
                paths = self.folder.fs.ls(self.folder.path, detail=False)
        except FileNotFoundError:
            return []
        names = [str(path).rpartition("/")[2] for path in paths]
        return [int(name) for name in names if len(name) == DIGITS and name.isdigit()]

    def _path(self, number: int) -> str:
        return str((self.folder / _name(number)).path)


def _name(number: int) -> str:
    return f"{number:0{DIGITS}}"
