"""A panel as a layered Vega-Lite view."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lrbench.leaderboard.drawing.axes import FORMATS, Spec, channel, size_of
from lrbench.leaderboard.drawing.data import MODEL, Row, rows_of
from lrbench.leaderboard.drawing.look import Medium
from lrbench.leaderboard.drawing.words import KEY, key_of
from lrbench.views.charts import Chart, Panel

SHOWN = "shown"
"""Parameter of every live chart: the models that are drawn."""


def drawn(panel: Panel, chart: Chart, medium: Medium, looks: Spec, usual: tuple[int, int]) -> Spec:
    """Draw one panel of a usual size; `looks` are the encodings of what the colour stands for."""
    rows = rows_of(panel, panel.table, chart.by)
    beside = len({row["series"] for row in rows}) if _is_beside(panel, rows) else 1
    size = size_of(panel, usual, beside)
    axes = {
        "x": channel(panel.x, "x", rows, size["width"]),
        "y": channel(panel.y, "y", rows, size["height"], zero=panel.mark == "bars"),
    }
    if beside > 1:
        across = "yOffset" if panel.y.kind == "category" else "xOffset"
        axes[across] = {"field": "series", "type": "nominal", "scale": {"domain": _there(chart, rows)}}
    layers = _Layers(panel, chart, medium, looks, axes, rows)
    only_shown, faint_shown = (_only_shown(table, chart) if medium.live else {} for table in (panel.table, panel.faint))
    behind = [each | faint_shown for each in layers.faint()]
    return {
        "data": {"values": rows},
        **only_shown,
        **size,
        "layer": [*behind, *layers.rules(), *layers.marks()],
    }


def _only_shown(table: pd.DataFrame | None, chart: Chart) -> Spec:
    """Leave out rows of models that are hidden, of a table whose rows are of models; those of no model stay."""
    if table is None:
        return {}
    if chart.by == MODEL:
        test = f"indexof({SHOWN}, slice(datum.series, {len(KEY)})) >= 0"
    elif MODEL in table:
        test = f"datum.{MODEL} == null || indexof({SHOWN}, datum.{MODEL}) >= 0"
    else:
        return {}
    return {"transform": [{"filter": test}]}


def models_of(chart: Chart) -> list[str]:
    """Give the models that a live chart shows at first: all."""
    if chart.by == MODEL:
        return list(chart.series)
    tables = [table for panel in chart.panels for table in (panel.table, panel.faint) if table is not None]
    return list(dict.fromkeys(model for table in tables if MODEL in table for model in table[MODEL].dropna()))


def _there(chart: Chart, rows: list[Row]) -> list[str]:
    held = {row["series"] for row in rows}
    return [key for key in map(key_of, chart.series) if key in held]


def _is_beside(panel: Panel, rows: list[Row]) -> bool:
    """Whether what shares a category stands side by side: bars and error bars would hide one another."""
    way = next((way for way, axis in (("y", panel.y), ("x", panel.x)) if axis.kind == "category"), None)
    if way is None or not (panel.mark == "bars" or (panel.mark == "points" and any("low" in row for row in rows))):
        return False
    return len({(row[way], row["series"]) for row in rows}) > len({row[way] for row in rows})


@dataclass(frozen=True)
class _Layers:
    """Layers of a panel, from behind to front."""

    panel: Panel
    chart: Chart
    medium: Medium
    looks: Spec
    axes: Spec
    rows: list[Row]

    @property
    def along(self) -> str:
        """The way in which values go."""
        return "x" if self.panel.y.kind == "category" else "y"

    @property
    def spans(self) -> bool:
        return any(row.get("low") is not None for row in self.rows)

    def encoding(self, *looks: str, **more: Any) -> Spec:  # noqa: ANN401
        apart = {"detail": {"field": "line"}} if any("line" in row for row in self.rows) else {}
        return {**self.axes, **{each: self.looks[each] for each in looks}, **apart, **more}

    def between(self) -> Spec:
        """Encode `low` to `high` along the values."""
        along = self.along
        return {along: {**self.axes[along], "field": "low"}, f"{along}2": {"field": "high"}}

    def faint(self) -> Iterator[Spec]:
        if self.panel.faint is not None:
            rows = rows_of(self.panel, self.panel.faint, self.chart.by)
            mark = {"type": "line", "opacity": 0.4, "strokeWidth": 0.9, "point": {"size": 9, "opacity": 0.4}}
            yield {
                "data": {"values": rows},
                "mark": mark,
                "encoding": {**self.axes, "color": self.looks["color"], "detail": {"field": "line"}},
            }

    def rules(self) -> Iterator[Spec]:
        if self.panel.rules:
            yield {
                "data": {"values": [{"x": each} for each in self.panel.rules]},
                "mark": {"type": "rule", "strokeDash": [2, 3], "color": "#888888"},
                "encoding": {"x": self.axes["x"]},
            }

    def marks(self) -> Iterator[Spec]:
        mark = self.panel.mark
        if mark in {"line", "steps"}:
            yield from self._line("step-after" if mark == "steps" else "linear")
        elif mark == "bars":
            yield from self._bars()
        else:
            yield from self._points()
        if any(row.get("ring") for row in self.rows):
            ring = {"type": "point", "shape": "circle", "filled": False, "size": 130, "strokeWidth": 1.6, "opacity": 1}
            yield {"transform": [{"filter": "datum.ring"}], "mark": ring, "encoding": self.encoding("color")}

    def _line(self, course: str) -> Iterator[Spec]:
        if self.spans:
            band = {"type": "area", "opacity": 0.14, "interpolate": course}
            yield {"mark": band, "encoding": self.encoding("color", **self.between())}
        line = {"type": "line", "strokeWidth": 1.8, "interpolate": course}
        yield {"mark": line, "encoding": self.encoding("color", "strokeDash")}
        yield from self._markers(28)

    def _markers(self, size: int) -> Iterator[Spec]:
        """Draw markers where a line is marked; where readers can point at it, the others are there and not seen."""
        mark = {"type": "point", "filled": True, "size": size, "opacity": 1}
        if not self.medium.live:
            yield {"transform": [{"filter": "datum.marked"}], "mark": mark, "encoding": self.encoding("color", "shape")}
            return
        seen = {"condition": {"test": "datum.marked", "value": 1}, "value": 0}
        yield {"mark": mark, "encoding": self.encoding("color", "shape", opacity=seen, tooltip=self._tooltip())}

    def _points(self) -> Iterator[Spec]:
        yield from self._error_bars()
        if self.spans and self.panel.x.kind == "category":
            line = {"type": "line", "strokeWidth": 1.2, "opacity": 0.5}
            yield {"mark": line, "encoding": self.encoding("color", "strokeDash")}
        crowd = self.panel.mark == "scatter"
        mark = {"type": "point", "filled": True, "size": 20 if crowd else 45, "opacity": 0.6 if crowd else 1}
        more = {"tooltip": self._tooltip()} if self.medium.live and not crowd else {}
        yield {"mark": mark, "encoding": self.encoding("color", "shape", **more)}

    def _bars(self) -> Iterator[Spec]:
        more = {"tooltip": self._tooltip()} if self.medium.live else {}
        yield {"mark": {"type": "bar", "opacity": 1}, "encoding": self.encoding("color", **more)}
        yield from self._error_bars()
        # Grey tells few bars apart: each bears its marker.
        above = {"field": "high" if self.spans else "y"}
        mark = {"type": "point", "filled": True, "size": 40, "opacity": 1, "yOffset": -7}
        yield {"mark": mark, "encoding": self.encoding("color", "shape", y={**self.axes["y"], **above})}

    def _error_bars(self) -> Iterator[Spec]:
        if self.spans:
            bar = {"type": "rule", "strokeWidth": 1.2, "color": self.medium.ink}
            looks = () if self.panel.mark == "bars" else ("color",)
            yield {"mark": bar, "encoding": self.encoding(*looks, **self.between())}

    def _tooltip(self) -> list[Spec]:
        fields: list[Spec] = [{"field": "series", "type": "nominal", "title": self.chart.by}]
        for way, axis in (("x", self.panel.x), ("y", self.panel.y)):
            kind = "nominal" if axis.kind == "category" else "quantitative"
            form = {"format": FORMATS[axis.kind]} if FORMATS[axis.kind] else {}
            fields.append({"field": way, "type": kind, "title": axis.title, **form})
        along = self.panel.x if self.along == "x" else self.panel.y
        ends = ("low", "high") if self.spans else ()
        fields += [{"field": end, "type": "quantitative", "format": FORMATS[along.kind]} for end in ends]
        return fields + ([{"field": "n", "type": "quantitative"}] if any("n" in row for row in self.rows) else [])
