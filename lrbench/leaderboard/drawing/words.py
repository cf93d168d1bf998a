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

EMS = {
    0.23: "'ijl",
    0.28: " !,./:;I[\\]ft",
    0.36: '"()-`r{}|',
    0.5: "*^Jcksvxyz",
    0.56: "#$?L_0123456789abdeghnopqu",
    0.61: "+<=>~FTZ",
    0.67: "&ABEKPSVXY",
    0.73: "CDHNRUw",
    0.78: "GOQ",
    0.84: "Mm",
    0.95: "%W",
}
"""How wide letters are, by their size, rounded up."""

EM = {letter: width for width, letters in EMS.items() for letter in letters}

BOLD = 1.08
"""How much wider bold letters are."""


def width_of(text: str, size: float = SIZE) -> float:
    """Give the pixels that a text takes, at most."""
    return size * sum(_em(letter) for letter in text)


def _em(letter: str) -> float:
    return EM.get(letter, 1.02 if letter == "@" or unicodedata.east_asian_width(letter) in {"W", "F"} else 0.78)


def lines_of(text: str, room: float, size: float = SIZE) -> list[str]:
    """Break a text into lines that are no wider than `room` pixels; words that are wider, too."""
    letters = room / size / 0.3
    while True:
        lines = textwrap.wrap(text, max(4, int(letters)), break_on_hyphens=False) or [""]
        if letters <= 4 or max(width_of(line, size) for line in lines) <= room:
            return lines
        letters *= 0.95


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
