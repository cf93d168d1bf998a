"""What is wrong with a document, in a line each, with the place and what would be right."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lrbench.errors import UsageError, printable
from lrbench.strict import KeyPath
from lrbench.suite.document import Document
from lrbench.suite.places import ELSEWHERE

MAX_REPORTED = 3

BETWEEN = {"[key]", "[number]", "[until]"}
"""In a fault's place, what is no key of the document."""

R = TypeVar("R", bound=BaseModel)


def validated(schema: type[R], content: Any, document: Document) -> R:  # noqa: ANN401
    """Hold content against a schema; the document knows where it stands.

    Raises
    ------
    UsageError
        With the first faults, a line each.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise refused(error, document) from None


def refused(
    error: ValidationError, document: Document, written: Callable[[KeyPath], KeyPath] = lambda place: place
) -> UsageError:
    """Build the error for a document that does not follow its schema: the first faults, a line each.

    `written` gives where in the document stands what was validated at a place, if not there.
    """
    lines = [_describe(document, detail, written) for detail in error.errors(include_url=False)]
    return UsageError("\n".join(list(dict.fromkeys(lines))[:MAX_REPORTED]))


def _describe(document: Document, detail: Any, written: Callable[[KeyPath], KeyPath]) -> str:  # noqa: ANN401
    path: KeyPath = tuple(part for part in detail["loc"] if part not in BETWEEN)
    context = detail.get("ctx", {})
    if detail["type"] == ELSEWHERE:
        return str(document.error(written((*path, *context["at"])), printable(context["message"])))
    if detail["type"] == "unknown_key":
        path = (*path, context["key"])
    message = printable(str(detail["msg"])).removeprefix("Value error, ").removeprefix("Input ")
    if detail["type"] not in {"unknown_key", "missing", "value_error"}:
        message = f"{message}, got {short_repr(detail['input'])}"
    acronym = message[1:2].isupper() or message[1:2] == "-"
    return str(document.error(written(path), message if acronym else message[:1].lower() + message[1:]))


def short_repr(value: object) -> str:
    """Show a value in at most 60 characters."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."
