"""What stands where in a picture: the boxes of its texts, measured by the widths of Helvetica's letters."""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import combinations

SVG = "{http://www.w3.org/2000/svg}"
ASCENT, DESCENT = 0.72, 0.21

WIDTHS = dict(
    zip(
        map(chr, range(32, 127)),
        (
            278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
            *[556] * 10, 278, 278, 584, 584, 584, 556, 1015,
            667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
            722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611,
            278, 278, 278, 469, 556, 333,
            556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833,
            556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500,
            334, 260, 334, 584,
        ),
        strict=True,
    )
)  # fmt: skip


@dataclass(frozen=True)
class Text:
    """One line of text, and its box."""

    content: str
    x0: float
    y0: float
    x1: float
    y1: float


def texts(svg):
    """Every line of text of an SVG that Vega drew."""
    return list(_texts(ET.fromstring(svg), (0.0, 0.0, 0.0)))  # noqa: S314


def size(svg):
    root = ET.fromstring(svg)  # noqa: S314
    return float(root.get("width")), float(root.get("height"))


def contents(svg):
    return [text.content for text in texts(svg)]


def misplaced(svg):
    """Texts that cover one another, or are cut off at the picture's edge."""
    width, height = size(svg)
    found = texts(svg)
    cut = [text for text in found if min(text.x0, text.y0) < -1 or text.x1 > width + 1 or text.y1 > height + 1]
    return cut + [(one, other) for one, other in combinations(found, 2) if _overlap(one, other)]


def _overlap(one, other):
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    return width > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1


def _texts(element, place):
    place = _moved(place, element.get("transform", ""))
    if element.tag == SVG + "text":
        spans = element.findall(SVG + "tspan")
        y = 0.0
        for span in spans or [element]:
            y += float(span.get("dy", 0))
            if (span.text or "").strip() and float(element.get("opacity", 1)) > 0:
                yield _box(element, span.text.strip(), y, place)
        return
    for child in element:
        yield from _texts(child, place)


def _box(element, content, y, place):
    points = float(element.get("font-size", "11px").removesuffix("px"))
    bold = 1.08 if element.get("font-weight") == "bold" else 1
    wide = bold * points * sum(WIDTHS.get(letter, 1000 if ord(letter) > 0x2E80 else 556) for letter in content) / 1000
    x = {"start": 0.0, "middle": -wide / 2, "end": -wide}[element.get("text-anchor", "start")]
    corners = [(x, y - ASCENT * points), (x + wide, y + DESCENT * points)]
    left, top, angle = place
    xs, ys = zip(*(_turned(each, angle) for each in corners), strict=True)
    return Text(content, left + min(xs), top + min(ys), left + max(xs), top + max(ys))


def _turned(point, angle):
    x, y = point
    return {0: (x, y), -90: (y, -x)}[angle]


def _moved(place, transform):
    x, y, angle = place
    for name, arguments in re.findall(r"(\w+)\(([^)]*)\)", transform):
        values = [float(each) for each in re.split("[ ,]+", arguments.strip())]
        if name == "translate":
            across, down = _turned((values[0], values[1] if len(values) > 1 else 0.0), angle)
            x, y = x + across, y + down
        elif name == "rotate":
            angle += values[0]
    return x, y, angle
