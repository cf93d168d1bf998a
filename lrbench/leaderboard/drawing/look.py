"""One look for all charts: told apart in colour, in grey, and by the colour-blind, on white and on dark."""

from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = (
    "#00866f", "#c99700", "#bb2233", "#7b4fb0", "#3a9bdc", "#ee3377", "#5566dd", "#997700", "#994488", "#dd7755",
)  # fmt: skip
"""Each stands out from white and from near-black, and from every other by a CIE distance of 16 to whoever sees no red,
no green or no blue (Machado et al., 2009)."""

SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "triangle-down",
    "cross",
    "M-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0L-1,-.5Z",
    "M0,-1.2L.27,-.37L1.14,-.37L.44,.14L.71,.97L0,.46L-.71,.97L-.44,.14L-1.14,-.37L-.27,-.37Z",
    "triangle-left",
    "triangle-right",
)
"""Of markers: names that Vega knows, and paths, of a slanted cross and a star."""

DASHES = ([1, 0], [6, 3], [8, 3, 2, 3], [2, 2], [8, 2, 2, 2, 2, 2], [4, 2], [1, 2], [10, 3])


@dataclass(frozen=True)
class Look:
    """How one of several series is drawn."""

    colour: str
    shape: str
    dash: list[int]


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """Give each name a look of its own, by its place; more than eight share colours, never colour and shape."""
    return {
        name: Look(
            COLOURS[index % len(COLOURS)],
            SHAPES[(index + index // len(COLOURS)) % len(SHAPES)],
            DASHES[index % len(DASHES)],
        )
        for index, name in enumerate(names)
    }


@dataclass(frozen=True)
class Medium:
    """Where a chart is drawn.

    Attributes
    ----------
    ink, faint, background : str
        Colours of text, of axes and grid, and of what is behind.
    sizes : tuple
        Width and height of a panel, in pixels, where so many are beside one another: one, two, three at most.
    titled : bool
        Whether the picture says its title and caption itself.
    live : bool
        Whether readers can point at it.
    """

    ink: str
    faint: str
    background: str
    sizes: tuple[tuple[int, int], ...]
    titled: bool
    live: bool

    def across(self, panels: int) -> int:
        """Give how many of so many panels are beside one another."""
        fewer = 2 if panels == 4 else panels
        return min(fewer, len(self.sizes))


PRINTED = ((400, 280), (300, 240), (250, 230))

# A canvas knows no `currentColor`; a page draws SVG alone.
PAGE = Medium("currentColor", "#8888", "transparent", ((300, 220),), titled=False, live=True)
PAPER = Medium("#222222", "#bbbbbb", "white", PRINTED, titled=True, live=False)
NOTEBOOK = Medium("#222222", "#bbbbbb", "white", PRINTED, titled=True, live=True)
