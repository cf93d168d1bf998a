"""Axes and their sizes, as Vega-Lite has them."""

import math
from collections.abc import Iterable
from typing import Any

from lrbench.leaderboard.drawing.data import Row
from lrbench.leaderboard.drawing.words import SIZE, key_of, label_expression, lines_of, text_of, width_of
from lrbench.views.charts import Axis, Panel

Spec = dict[str, Any]

ROOM = {"x": 110, "y": 220}
"""Pixels for the name of a category, on one line."""

LINE = 13
"""Pixels from one line of text to the next."""

MARKER = 9
"""Pixels for each of several points, or bars, beside one another."""

FORMATS = {"number": ".4~g", "whole": "d", "count": ".4~s", "category": ""}


def size_of(panel: Panel, usual: tuple[int, int], beside: int) -> Spec:
    """Give a panel's width and height: as usual, or more, where the names of its categories need it.

    `beside` are the points or bars beside one another in a category.
    """
    width, height = usual
    if panel.x.kind == "category":
        widest = max((width_of(line) for name in panel.x.order for line in _named(panel.x, "x")[name]), default=0)
        width = max(width, math.ceil(len(panel.x.order) * max(widest + 12, MARKER * beside + 14)))
    if panel.y.kind == "category":
        tallest = max((len(lines) for lines in _named(panel.y, "y").values()), default=1)
        height = max(height, math.ceil(len(panel.y.order) * max(LINE * tallest + 3, MARKER * beside + 6)))
    return {"width": width, "height": height}


def channel(axis: Axis, way: str, rows: Iterable[Row], room: int, *, zero: bool = False) -> Spec:
    """Encode an axis as the channel "x" or "y" of `rows`; its title takes at most `room` pixels a line."""
    encoded: Spec = {"field": way, "title": text_of(lines_of(axis.title, room, SIZE + 1))}
    if axis.kind == "category":
        named = _named(axis, way)
        look: Spec = {"labelLimit": 0, "labelOverlap": False, "labelAngle": 0, "grid": way == "y"}
        if any(lines != [name] for name, lines in named.items()):
            look["labelExpr"] = label_expression({key_of(name): text_of(lines) for name, lines in named.items()})
        return encoded | {
            "type": "nominal",
            "scale": {"domain": [key_of(name) for name in axis.order]},
            "sort": None,
            "axis": look,
        }
    values = [row[name] for row in rows for name in (way, *(("low", "high") if way == "y" else ())) if name in row]
    return encoded | {"type": "quantitative", "scale": _scale(axis, zero=zero), "axis": _ticks(axis, values)}


def _named(axis: Axis, way: str) -> dict[str, list[str]]:
    return {name: lines_of(name, ROOM[way]) for name in axis.order}


def _scale(axis: Axis, *, zero: bool) -> Spec:
    low, high = axis.domain
    ends: Spec = {name: end for name, end in (("domainMin", low), ("domainMax", high)) if end is not None}
    if axis.scale == "log":
        return {"type": "log", "nice": False, "padding": 8 if None in axis.domain else 0, **ends}
    return {"zero": zero, "nice": None in axis.domain, **ends}


def _ticks(axis: Axis, values: list[float | None]) -> Spec:
    if axis.kind == "whole":
        return {"tickMinStep": 1, "format": "d"}
    if axis.kind == "count":
        return {"format": "~s"}
    positive = [value for value in values if value is not None and value > 0]
    if axis.scale == "linear" or not positive:
        return {}
    # Vega names every tick of some decades and none of others.
    low, high = math.ceil(math.log10(min(positive))), math.floor(math.log10(max(positive)))
    decades = {"values": [float(f"1e{power}") for power in range(low, high + 1)]} if high > low else {}
    return {**decades, "format": "~g", "labelOverlap": True}
