"""Which options of a measure name layers, and which are numbers of their dimensions."""

from collections.abc import Iterator
from typing import Any, get_args

from lrbench.measures.base import NamesLayer, Within
from lrbench.strict import Strict


def layer_options(kind: type[Strict]) -> list[str]:
    """Names of the options that name layers."""
    return [name for name, each in kind.model_fields.items() if _marked([*each.metadata, each.annotation])]


def _marked(parts: list[Any]) -> bool:
    return any(isinstance(part, NamesLayer) or _marked(list(get_args(part))) for part in parts)


def named_layers(options: Strict) -> Iterator[tuple[str, str]]:
    """Give each layer that options name, and which option does."""
    for name in layer_options(type(options)):
        value = getattr(options, name)
        yield from ((name, layer) for layer in ([value] if isinstance(value, str) else value or ()))


def dimensions(kind: type[Strict]) -> dict[str, Within]:
    """Options that are numbers of dimensions of a layer."""
    return {
        name: mark for name, each in kind.model_fields.items() for mark in each.metadata if isinstance(mark, Within)
    }
