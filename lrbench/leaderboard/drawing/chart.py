"""A chart as a Vega-Lite specification."""

from lrbench.leaderboard.drawing.axes import Spec
from lrbench.leaderboard.drawing.look import Medium, looks_of
from lrbench.leaderboard.drawing.panel import SHOWN, drawn, models_of
from lrbench.leaderboard.drawing.words import BOLD, FONT, SIZE, key_of, label_expression, lines_of, text_of, width_of
from lrbench.views.charts import Chart

MARGIN = 70
"""Pixels beside a panel, for its axis."""

FAR = 1000
"""Pixels from an axis to its title, at most: as many as the names on it need."""

SYMBOL = 34
"""Pixels of a marker in the legend, and around it."""


def drawing(chart: Chart, medium: Medium) -> Spec:
    """Draw a chart, as a Vega-Lite specification."""
    series = _series(chart)
    across = medium.across(len(chart.panels))
    usual = medium.sizes[across - 1]
    width = across * (usual[0] + MARGIN)
    looks = _looks(series, chart, width)
    panels = [drawn(panel, chart, medium, looks, usual) for panel in chart.panels]
    titles = _titles(chart, usual[0])
    spec: Spec
    if len(panels) == 1:
        spec = panels[0]
        heading = titles[0]
    else:
        shared = dict.fromkeys(("color", "shape", "strokeDash"), "shared")
        for panel, title in zip(panels, titles, strict=True):
            panel.update({"title": {"text": text_of(title), "anchor": "middle", "fontSize": SIZE + 1}} if title else {})
        spec = {"concat": panels, "columns": across, "spacing": 24, "resolve": {"scale": shared, "legend": shared}}
        heading = []
    if medium.titled or heading:
        spec["title"] = _title(chart, heading, medium, width)
    if medium.live:
        spec["params"] = [{"name": SHOWN, "value": models_of(chart)}]
    return {**spec, "config": _config(medium)}


def _series(chart: Chart) -> dict[str, str]:
    """Give what the colour stands for, of what is drawn, and how it is shown."""
    there = {name for panel in chart.panels for name in panel.table[chart.by]}
    return {name: label for name, label in chart.series.items() if name in there}


def _looks(series: dict[str, str], chart: Chart, width: int) -> Spec:
    """Encode the series as colour, shape and dashes, with one legend for them all."""
    keys = [key_of(name) for name in chart.series]
    each = looks_of(keys)
    labels = {key_of(name): lines_of(label, width - SYMBOL) for name, label in series.items()}
    widest = max((width_of(line) for lines in labels.values() for line in lines), default=0)
    legend = {
        "values": list(labels),
        "labelExpr": label_expression({key: text_of(lines) for key, lines in labels.items()}),
        "columns": max(1, int(width / (widest + SYMBOL))),
        # More entries than that are dropped.
        "symbolLimit": len(series) + 1,
    }
    ranges = {
        "color": [look.colour for look in each.values()],
        "shape": [look.shape for look in each.values()],
        "strokeDash": [look.dash for look in each.values()],
    }
    return {
        encoding: {
            "field": "series",
            "type": "nominal",
            "title": None,
            "scale": {"domain": keys, "range": values},
            "legend": legend,
        }
        for encoding, values in ranges.items()
    }


def _titles(chart: Chart, width: int) -> list[list[str]]:
    """Break the panels' titles into lines, as many for each, so that what is beside one another is equally high."""
    size = BOLD * (SIZE + 1)
    broken = [panel.title.split("\n") if panel.title else [] for panel in chart.panels]
    titles = [[part for line in lines for part in lines_of(line, width, size)] for lines in broken]
    longest = max(map(len, titles))
    return [[*[""] * (longest - len(title)), *title] for title in titles]


def _title(chart: Chart, heading: list[str], medium: Medium, width: int) -> Spec:
    below = lines_of(chart.caption, width) if medium.titled and chart.caption else []
    above = lines_of(chart.title, width, BOLD * (SIZE + 3)) if medium.titled else []
    return {"text": text_of(above or heading), "subtitle": text_of([*below, *(heading if above else [])])}


def _config(medium: Medium) -> Spec:
    ink = {"labelColor": medium.ink, "titleColor": medium.ink}
    grey = {"gridColor": medium.faint, "domainColor": medium.faint, "tickColor": medium.faint}
    text = {"labelFontSize": SIZE, "labelLimit": 0, "titleLimit": 0}
    return {
        "background": medium.background,
        "font": FONT,
        "aria": medium.live,
        "axis": {
            **ink,
            **grey,
            **text,
            "gridOpacity": 0.45,
            "labelFlush": False,
            "maxExtent": FAR,
            "tickCount": 6,
            "titleFontSize": SIZE + 1,
            "titleFontWeight": "normal",
        },
        "legend": {**ink, **text, "orient": "bottom", "symbolOpacity": 1, "symbolSize": 60, "symbolStrokeWidth": 0},
        "title": {
            "anchor": "start",
            "frame": "bounds",
            "fontSize": SIZE + 3,
            "color": medium.ink,
            "subtitleFontSize": SIZE,
            "subtitleColor": medium.ink,
            "offset": 12,
        },
        "view": {"stroke": medium.faint, "strokeOpacity": 0.6},
    }
