"""What a suite names, brought in, and the options that it gives held against it."""

from collections.abc import Callable, Collection
from typing import Any

from lrbench.errors import UsageError
from lrbench.options import OptionError, check_options
from lrbench.registry import Registry
from lrbench.runner.external import guarded
from lrbench.strict import KeyPath
from lrbench.suite.document import Document


def brought_in(document: Document, registry: Registry, name: str, where: KeyPath) -> Callable[..., Any]:
    """Give the factory that a suite names.

    Raises
    ------
    UsageError
        If it is unknown, or cannot be imported.
    """
    try:
        with guarded():
            return registry[name].load()
    except UsageError as error:
        raise document.error(where, str(error)) from None


def hold_options(
    document: Document,
    factory: Callable[..., Any],
    supplied: Collection[str],
    where: KeyPath,
    options: dict[str, Any],
    beside: Collection[str],
) -> None:
    """Hold options against a factory; `beside` are keys that may stand there, too.

    Raises
    ------
    UsageError
        If one is unknown, missing or of the wrong type.
    """
    try:
        with guarded():
            check_options(factory, options, supplied, beside)
    except UsageError as error:
        raise document.error(where, str(error)) from None
    except OptionError as error:
        raise document.error((*where, error.option), str(error)) from None
