"""What measures have to show, whichever a suite asks for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from lrbench.catalogue import MEASURES
from lrbench.errors import short
from lrbench.measures import BaseMeasure, Options
from lrbench.measures.registry import is_own, measure_of
from lrbench.views import Block, Chart, Column, Shown

T = TypeVar("T")
Asked = tuple[BaseMeasure, Options, Shown]


def measured_summary(shown: Shown, suite: dict[str, Any]) -> Iterator[Column]:
    """Give what the first table shows of them."""
    for measure, options, own in _asked(shown, suite):
        yield from _given(own, measure.summary, options, Column)[0]


def measured_blocks(shown: Shown, suite: dict[str, Any]) -> Iterator[Block]:
    """Give their tables."""
    for measure, options, own in _asked(shown, suite):
        yield from _given(own, measure.tables, options, Block)[0]


def measured_notes(shown: Shown, suite: dict[str, Any]) -> Iterator[str]:
    """Give what they say below the tables, and what of theirs could not be shown."""
    for measure, options, own in _asked(shown, suite):
        lines, fault = _given(own, measure.notes, options, str)
        yield from lines
        ways: tuple[tuple[Callable[[Any, Shown], Iterable[Any]], type], ...] = (
            (measure.summary, Column), (measure.tables, Block), (measure.charts, Chart),
        )  # fmt: skip
        faults = [fault, *(_given(own, way, options, kind)[1] for way, kind in ways if own.prefix)]
        yield from (f"MISSING: {each}" for each in faults if each)


def measured_charts(shown: Shown, suite: dict[str, Any]) -> Iterator[Chart]:
    """Give their charts; those of somebody's own measures go by the measure's name."""
    for measure, options, own in _asked(shown, suite):
        for chart in _given(own, measure.charts, options, Chart)[0]:
            if own.prefix:
                file = f"{own.measure}-{chart.picture}" if chart.picture else ""
                yield replace(chart, name=f"{own.measure}-{chart.name}", file=file)
            else:
                yield chart


def _given(
    shown: Shown, way: Callable[[Any, Shown], Iterable[T]], options: Options, kind: type[T]
) -> tuple[list[T], str]:
    """Give what a measure shows in one way, or nothing and what went wrong in somebody's own: the board stands."""
    what = f"{way.__name__} of the measure {shown.measure}"
    try:
        found = way(options, shown)
        listed: list[Any] = [found] if isinstance(found, str) else list(found)
    # Whoever asks to exit there ends what they show, and nobody else.
    except (Exception, SystemExit) as error:
        if not shown.prefix:
            raise
        return [], f"{what} failed: {type(error).__name__}: {short(error)}"
    strange = next((each for each in listed if not isinstance(each, kind)), None)
    if strange is not None:
        return [], f"{what} gave {type(strange).__name__}: {kind.__name__} is wanted"
    return listed, ""


def _asked(shown: Shown, suite: dict[str, Any]) -> Iterator[Asked]:
    """Give each measure that a suite asks for, with its options and what it is shown from."""
    known = {entry.name for entry in MEASURES}
    for name, options in suite["diagnostics"].items():
        if options is not None and name in known:
            measure = measure_of(name)
            own = replace(shown, measure=name, prefix=f"{name}:" if is_own(name) else "")
            yield measure, measure.Options.model_validate(options), own
