"""The layers that a regularizer's options name: as a list in a suite, and as modules of a network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from lrbench.errors import UsageError, nearest
from lrbench.measures.base import Layer

if TYPE_CHECKING:
    from torch import nn


def _distinct(layers: list[str]) -> list[str]:
    for index, name in enumerate(layers):
        if name in layers[:index]:
            raise PydanticCustomError("distinct", "{name} is named twice", {"name": name})
    return layers


Layers = Annotated[list[Layer], Field(min_length=1), AfterValidator(_distinct)]
"""Names of layers: one at least, none twice."""


def modules_named(model: "nn.Module", layers: Sequence[str]) -> "dict[str, nn.Module]":
    """Give modules by their names.

    Raises
    ------
    UsageError
        If there is no such module, or two names are of the same one.
    """
    found: dict[str, nn.Module] = {}
    for name in layers:
        try:
            module = model.get_submodule(name)
        except AttributeError:
            known = [each for each, _ in model.named_modules() if each]
            msg = f"the network has no layer {name!r}; {nearest(name, known)}"
            raise UsageError(msg) from None
        same = [other for other, each in found.items() if each is module]
        if same:
            msg = f"{same[0]} and {name} are one layer under two names; name it once"
            raise UsageError(msg)
        found[name] = module
    return found
