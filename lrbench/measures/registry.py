"""Measures by the names that they are registered under."""

import inspect
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lrbench.catalogue import MEASURES
from lrbench.errors import UsageError
from lrbench.measures.base import Measure, Options
from lrbench.strict import KeyPath

if TYPE_CHECKING:
    from lrbench.data import ImageData


def measure_of(name: str) -> Measure:
    """Give the measure of a name.

    Raises
    ------
    UsageError
        If there is none, or what is registered is none.
    """
    found = MEASURES[name].load()
    if not (isinstance(found, type) and issubclass(found, Measure)):
        msg = f"the measure {name!r} is no subclass of lrbench.Measure"
        raise UsageError(msg)
    if inspect.isabstract(found):
        msg = f"the measure {name!r} has no `take`, which gives its rows"
        raise UsageError(msg)
    return found()


def is_own(name: str) -> bool:
    """Whether a measure is somebody's own, and none of lrbench's."""
    target = MEASURES[name].target
    return not (isinstance(target, str) and target.startswith("lrbench.measures."))


def metric_of(name: str, figure: str) -> str:
    """Give what a figure is called in tables of results: of somebody's own measure, with the measure's name."""
    return f"{name}:{figure}" if is_own(name) else figure


def options_text(name: str) -> str:
    """List a measure's options, each with its default: "layers, k ([1, 5, 10, 20])"."""
    try:
        return _options_text(name)
    except UsageError as error:
        return f"not known, since it {str(error).partition(': ')[2] or error}"


def _options_text(name: str) -> str:
    told = []
    for option, field in measure_of(name).Options.model_fields.items():
        default = field.get_default(call_default_factory=True)
        told.append(option if field.is_required() else f"{option} ({_shown(default)})")
    return ", ".join(told) or "none"


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
