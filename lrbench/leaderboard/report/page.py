"""The report's content, laid out by a template."""

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.charts import charts
from lrbench.leaderboard.drawing import PAGE, as_svg, drawing
from lrbench.leaderboard.figure_text import cell_parts
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.report.examples import strips
from lrbench.verdicts import NOT_CHECKED, RANKED
from lrbench.views import Block, Column


def report(folder: str | Path) -> str:
    """Write a run's report as one HTML file.

    Raises
    ------
    UsageError
        If the folder holds no results.
    """
    run = Run.open(folder)
    board = run.board
    # First, since a damaged record is refused here: nothing is drawn for a page that will not be.
    environments = run.environments()
    drawn = list(charts(board.shown, board.suite))
    specs = [drawing(chart, PAGE) for chart in drawn]
    return template("report/report.html").render(
        suite=board.suite,
        dataset=board.results["dataset"].iloc[0] if len(board.results) else "",
        models=board.models,
        labels=board.labels,
        tables=[table_of_block(board, block) for block in board.blocks],
        notes=notes(board),
        charts=[{"chart": chart, "svg": _svg(spec)} for chart, spec in zip(drawn, specs, strict=True)],
        specs=_json(specs),
        strips=strips(run),
        masking=board.masking,
        status=board.status,
        failures=board.failures,
        configuration=yaml.safe_dump(board.suite, sort_keys=False, allow_unicode=True),
        environments=environments,
        handed_over=any(str(spec["arch"]).startswith(HANDED_OVER) for spec in board.suite["models"].values()),
        needs_data=board.suite["data"]["name"] != EMBEDDED,
        style=asset("style.css"),
        script=_bundle(asset("page.js")) if drawn else asset("page.js"),
    )


HANDED_OVER = "object:"
"""How the architecture of a network begins that a call in Python handed over."""

EMBEDDED = "digits"
"""The data set that needs no folder."""


def template(name: str) -> Template:
    """Give a template of the pages, such as "report/report.html"; whatever text it is given stays text."""
    return Environment(
        loader=PackageLoader("lrbench.leaderboard", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def asset(name: str) -> Markup:
    """Read a file that comes with the package: it is ours, so it is put in as it is."""
    return Markup((resources.files("lrbench.leaderboard.report") / name).read_text("utf-8"))  # noqa: S704


@cache
def _bundle(script: Markup) -> Markup:
    """Put Vega, Vega-Lite and Vega-Embed before the page's own script."""
    import vl_convert  # noqa: PLC0415 - a board is shown where nothing can be drawn

    bundle = vl_convert.javascript_bundle(f"window.vegaEmbed = vegaEmbed;\n{script}")
    return Markup(bundle.replace("</script", r"<\/script"))  # noqa: S704


def _svg(spec: dict[str, Any]) -> Markup:
    """Draw a chart for readers without JavaScript; Vega escapes all text."""
    return Markup(as_svg(spec))  # noqa: S704


def _json(content: Any) -> Markup:  # noqa: ANN401
    """Write JSON that can stand in a script element, whatever text it holds."""
    escaped = json.dumps(content).replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    return Markup(escaped)  # noqa: S704


def table_of_block(board: Leaderboard, block: Block) -> dict[str, Any]:
    """Give a table's title, headings and cells, as the templates take them."""
    return {
        "title": block.title,
        "words": [block.by] if block.by else [],
        "headings": [(column.heading, column.images) for column in block.headings],
        "rows": [
            (model, board.labels[model], beside, [_cell(column, model) for column in columns])
            for model, beside, columns in block.rows(board.models)
        ],
    }


def _cell(column: Column, model: str) -> dict[str, Any]:
    """Give a cell's text, the interval below it, and what it is sorted by."""
    cell = column.cells.get(model)
    text, *below = cell_parts(column, model)
    verdict = text if column.form == "verdict" else ""
    sort = "" if cell is None else repr(cell.value)
    if verdict:
        sort = "" if verdict == NOT_CHECKED else repr(RANKED.index(verdict))
    return {"text": text, "below": " ".join(below), "sort": sort, "verdict": verdict}
