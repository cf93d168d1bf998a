"""Text in pictures: as wide as there is room, on as many lines as it takes. Whatever it holds is text."""

import json
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping

FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
"""These are equally wide, so that what fits where a picture was drawn fits where it is read."""

SIZE = 11
"""Of letters, in pixels."""

KEY = " "
"""Before names and titles: Vega takes some, such as `constructor`, for more than text. Nobody sees it."""

WIDEST, WIDE = frozenset("@%MWmw\u2014\u2026"), 0.78


def width_of(text: str, size: float = SIZE) -> float:
    """Give the pixels that a text takes at most."""
    return size * sum(_em(letter) for letter in text)


def _em(letter: str) -> float:
    if letter in WIDEST or unicodedata.east_asian_width(letter) in {"W", "F"}:
        return 1.02
    return WIDE if letter.isupper() else 0.61


def lines_of(text: str, room: float, size: float = SIZE) -> list[str]:
    """Break a text into lines that are no wider than `room` pixels; words that are wider, too."""
    letters = room / size / 0.5
    while True:
        lines = textwrap.wrap(text, max(4, int(letters)), break_on_hyphens=False) or [""]
        if letters <= 4 or max(width_of(line, size) for line in lines) <= room:
            return lines
        letters *= 0.9


def key_of(name: str) -> str:
    """Give what stands in a drawing for a name."""
    return KEY + name


def text_of(lines: list[str]) -> list[str]:
    """Give what stands in a drawing for a text of some lines."""
    return [key_of(line) for line in lines]


def label_expression(labels: Mapping[str, list[str]]) -> str:
    """Give the Vega expression that turns what the data hold into what is shown."""
    return f"{_array(labels.values())}[indexof({_array(labels)}, datum.value)]"


def _array(content: Iterable[object]) -> str:
    return json.dumps(list(content))
