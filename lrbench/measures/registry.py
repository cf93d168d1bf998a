"""Measures by the names that they are registered under."""

from lrbench.catalogue import MEASURES
from lrbench.errors import UsageError
from lrbench.measures.base import Measure


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
    return found()


def options_text(name: str) -> str:
    """List a measure's options, each with its default: "layers, k ([1, 5, 10, 20])"."""
    told = []
    for option, field in measure_of(name).Options.model_fields.items():
        default = field.get_default(call_default_factory=True)
        told.append(option if field.is_required() else f"{option} ({_shown(default)})")
    return ", ".join(told) or "none"


def _shown(value: object) -> str:
    text = {None: "all", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else str(value)
    text = str(text)
    return text if len(text) <= 40 else f"{text[:37]}..."
