"""Options that a suite passes to a factory, checked against the factory's own signature."""

import functools
import inspect
import typing
from collections.abc import Callable, Collection
from typing import Any

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from lrbench.errors import nearest

STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


class OptionError(Exception):
    """An option that a factory does not take, lacks, or takes in another type."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


def check_options(
    factory: Callable[..., Any], given: dict[str, Any], supplied: Collection[str], known: Collection[str] = ()
) -> None:
    """Check keyword options against a factory's parameters and annotations.

    Parameters
    ----------
    factory : callable
        Function or class.
    given : dict
        Options that the user wrote.
    supplied : collection of str
        Parameters that lrbench passes itself; no option may name them.
    known : collection of str
        Other keys that may stand beside the options, for the suggestion.

    Raises
    ------
    OptionError
        If an option is unknown, missing or of the wrong type.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(factory).parameters.items()
        if name not in supplied and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY}
    }
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = {name: p for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
    hints = _hints(factory)
    for option, value in given.items():
        if option in named:
            _check_type(option, value, hints.get(option))
        elif not takes_any:
            raise OptionError(option, f"unknown key; {nearest(option, [*named, *known])}")
    for name, parameter in named.items():
        if parameter.default is parameter.empty and name not in given:
            raise OptionError(name, "is required here")


def options_text(signature: inspect.Signature, supplied: Collection[str]) -> str:
    """List the options that a factory takes, each with its default and, of a choice, with what else it can be.

    Such as "layer, steps (40), loss (margin, or cross-entropy, dlr)".
    """
    other = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    options = [each for each in signature.parameters.values() if each.name not in supplied and each.kind not in other]
    return ", ".join(each.name + _default_text(each) for each in options) or "none"


def _default_text(option: inspect.Parameter) -> str:
    if option.default is option.empty or option.default is None:
        return ""
    default = {True: "true", False: "false"}.get(option.default) if isinstance(option.default, bool) else option.default
    others = [str(each) for each in choices(option.annotation) if each != option.default]
    return f" ({default}, or {', '.join(others)})" if others else f" ({default})"


def choices(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Give the values of a choice; none for what is no choice."""
    return typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()


def choices_of(factory: Callable[..., Any], option: str) -> tuple[str, ...]:
    """Give what an option can be, where its annotation lists it."""
    return choices(_hints(factory).get(option))


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    written = factory
    while isinstance(written, functools.partial):
        written = written.func
    try:
        return typing.get_type_hints(written.__init__ if inspect.isclass(written) else written)
    # A user's annotations may name what is not there; they are for people then.
    except Exception:  # noqa: BLE001
        return {}


def _check_type(option: str, value: Any, annotation: Any) -> None:  # noqa: ANN401
    if isinstance(value, int) and abs(value) >= 2**63:
        raise OptionError(option, "is too large a number")
    if annotation is None:
        return
    try:
        TypeAdapter(annotation, config=STRICT).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]["msg"].removeprefix("Input ")
        raise OptionError(option, f"{first[:1].lower() + first[1:]}, got {value!r:.60}") from None
    except PydanticSchemaGenerationError:
        return  # an annotation that pydantic cannot judge: the factory itself will
