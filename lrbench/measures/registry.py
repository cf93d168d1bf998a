"""Measures by the names that they are registered under."""

import inspect
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from lrbench.catalogue import MEASURES
from lrbench.columns import COLUMNS
from lrbench.errors import UsageError
from lrbench.measures.base import BaseMeasure, Metric, Options
from lrbench.measures.core import CORE
from lrbench.strict import KeyPath, Strict

if TYPE_CHECKING:
    from lrbench.data import ImageData

TAKEN = {*COLUMNS, "sd", "seeds"}
"""Columns of the tables of results, so that no parameter of a figure is called so."""

BESIDE = ("_low", "_high", "_sd", "_n")
"""Behind a figure's name, what else tables hold of it."""


def measure_of(name: str) -> BaseMeasure:
    """Give the measure of a name.

    Raises
    ------
    UsageError
        If there is none, or what is registered is none.
    """
    found = MEASURES[name].load()
    if not (isinstance(found, type) and issubclass(found, BaseMeasure)):
        msg = f"the measure {name!r} is no subclass of lrbench.Measure or lrbench.AttackMeasure"
        raise UsageError(msg)
    if inspect.isabstract(found):
        methods: frozenset[str] = getattr(found, "__abstractmethods__", frozenset())
        lacks = " and ".join(f"`{method}`" for method in sorted(methods))
        msg = f"the measure {name!r} has no {lacks}, which gives its rows"
        raise UsageError(msg)
    for figure in found.figures:
        taken = any(figure.endswith(end) and figure.removesuffix(end) in found.figures for end in BESIDE)
        if taken or not figure.isprintable() or not figure.strip() or set(figure) & set(":[],"):
            msg = f"the measure {name!r} calls a figure {figure!r:.60}: choose another name"
            raise UsageError(msg)
    for figure, metric in found.figures.items():
        if wrong := [column for column in metric.parameters if column in TAKEN or not column.isidentifier()]:
            msg = f"the measure {name!r} calls a parameter of {figure!r} {wrong[0]!r}: choose another name"
            raise UsageError(msg)
    return found()


def is_own(name: str) -> bool:
    """Whether a measure is somebody's own, and none of lrbench's."""
    target = MEASURES[name].target
    return not (isinstance(target, str) and target.startswith("lrbench.measures."))


def metric_of(name: str, figure: str) -> str:
    """Give what a figure is called in tables of results: of somebody's own measure, with the measure's name."""
    return f"{name}:{figure}" if is_own(name) else figure


def metric_named(metric: str) -> Metric | None:
    """Give what is known of a metric by its name in tables of results; None if nothing is."""
    name, own, figure = metric.partition(":")
    if not own:
        return _known().get(metric)
    try:
        return measure_of(name).figures.get(figure)
    # Of a package that is not here, or is broken, no more is known than what stands in the tables.
    except Exception:  # noqa: BLE001
        return None


@cache
def _known() -> dict[str, Metric]:
    names = [entry.name for entry in MEASURES if not is_own(entry.name)]
    return {**CORE, **{figure: metric for name in names for figure, metric in measure_of(name).figures.items()}}


def options_text(name: str, found: Callable[[str], Any] = measure_of) -> str:
    """List the options of what is `found` by a name, each with its default: "layers, k ([1, 5, 10, 20])"."""
    try:
        return _options_line(found(name).Options)
    except UsageError as error:
        return f"not known, since it {str(error).partition(': ')[2] or error}"


def _options_line(kind: type[Strict]) -> str:
    """List options, each with its default."""
    options = []
    for option, field in kind.model_fields.items():
        default = field.get_default(call_default_factory=True)
        options.append(option if field.is_required() else f"{option} ({_shown(default)})")
    return ", ".join(options) or "none"


def _shown(value: object) -> str:
    text = {None: "all", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else str(value)
    text = str(text)
    return text if len(text) <= 40 else f"{text[:37]}..."


def faults_of(name: str, options: Any, data: "ImageData") -> Iterator[tuple[KeyPath, str]]:
    """Say what of a measure's options cannot be, anywhere or on this data: the place below its name, and why."""
    if not _comes_back(options):
        yield (), "its options do not come back from YAML; numbers, texts, flags, and lists and mappings of them do"
    yield from measure_of(name).unfit(options, data)


def _comes_back(options: Options) -> bool:
    """Whether options that are written as JSON or YAML are read as what they were."""
    try:
        written = options.model_dump(mode="json")
        read = type(options).model_validate(written), type(options).model_validate_json(json.dumps(written))
    except ValueError:
        return False
    return read == (options, options)
