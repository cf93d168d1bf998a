"""Charts as files: the same bytes each time, as far as it is the same version of vl-convert."""

import io
from collections.abc import Iterable

from PIL import Image

from lrbench.leaderboard.drawing.axes import Spec
from lrbench.leaderboard.drawing.chart import drawing
from lrbench.leaderboard.drawing.look import PAPER
from lrbench.names import in_path
from lrbench.views.charts import Chart

SCALE = 2
"""Dots of a PNG for each pixel of its drawing: about 190 to the inch."""


def as_svg(spec: Spec) -> str:
    """Draw a specification as SVG."""
    import vl_convert  # noqa: PLC0415 - a board is shown where nothing can be drawn

    return str(vl_convert.vegalite_to_svg(spec))


def as_files(charts: Iterable[Chart]) -> dict[str, bytes]:
    """Draw those charts that have files: name -> content."""
    files: dict[str, bytes] = {}
    for chart in charts:
        if chart.picture:
            svg = as_svg(drawing(chart, PAPER))
            name = in_path(chart.picture)
            files |= {f"{name}.png": _png(svg), f"{name}.svg": svg.encode()}
    return files


def _png(svg: str) -> bytes:
    """Draw SVG as PNG, in half the bytes of vl-convert's own."""
    import vl_convert  # noqa: PLC0415 - a board is shown where nothing can be drawn

    picture, content = Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=SCALE))), io.BytesIO()
    picture.convert("RGB").save(content, "PNG")
    return content.getvalue()
