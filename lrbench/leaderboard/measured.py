"""What measures have to show, whichever a suite asks for."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lrbench.catalogue import MEASURES
from lrbench.measures import BaseMeasure, Options
from lrbench.measures.registry import is_own, measure_of
from lrbench.views import Block, Chart, Column, Shown


def measured_summary(shown: Shown, suite: dict[str, Any]) -> Iterator[Column]:
    """Give what the first table shows of them."""
    for measure, options, own in _asked(shown, suite):
        yield from measure.summary(options, own)


def measured_blocks(shown: Shown, suite: dict[str, Any]) -> Iterator[Block]:
    """Give their tables."""
    for measure, options, own in _asked(shown, suite):
        yield from measure.tables(options, own)


def measured_notes(shown: Shown, suite: dict[str, Any]) -> Iterator[str]:
    """Give what they say below the tables."""
    for measure, options, own in _asked(shown, suite):
        yield from measure.notes(options, own)


def measured_charts(shown: Shown, suite: dict[str, Any]) -> Iterator[Chart]:
    """Give their charts; those of somebody's own measures go by the measure's name."""
    for measure, options, own in _asked(shown, suite):
        for chart in measure.charts(options, own):
            if own.prefix:
                file = f"{own.measure}-{chart.picture}" if chart.picture else ""
                yield replace(chart, name=f"{own.measure}-{chart.name}", file=file)
            else:
                yield chart


def _asked(shown: Shown, suite: dict[str, Any]) -> Iterator[tuple[BaseMeasure, Options, Shown]]:
    """Give each measure that a suite asks for, with its options and what it is shown from."""
    known = {entry.name for entry in MEASURES}
    for name, options in suite["diagnostics"].items():
        if options is not None and name in known:
            measure = measure_of(name)
            own = replace(shown, measure=name, prefix=f"{name}:" if is_own(name) else "")
            yield measure, measure.Options.model_validate(options), own
