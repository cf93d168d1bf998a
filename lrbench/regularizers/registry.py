"""Regularizers by the names that they are registered under."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrbench.catalogue import REGULARIZERS
from lrbench.errors import UsageError
from lrbench.regularizers.base import Regularizer

if TYPE_CHECKING:
    from torch import nn


def regularizer_of(name: str) -> type[Regularizer]:
    """Give the regularizer of a name.

    Raises
    ------
    UsageError
        If there is none, or what is registered is none.
    """
    found = REGULARIZERS[name].load()
    if not (isinstance(found, type) and issubclass(found, Regularizer)):
        msg = f"the regularizer {name!r} is no subclass of lrbench.Regularizer"
        raise UsageError(msg)
    return found


def made(asked: Mapping[str, Any]) -> dict[str, Regularizer]:
    """Make the regularizers of a model.

    Parameters
    ----------
    asked : mapping
        Name -> its options, as JSON.
    """
    kinds = {name: regularizer_of(name) for name in asked}
    return {name: kind(kind.Options.model_validate(asked[name])) for name, kind in kinds.items()}


def attach_lasting(model: "nn.Module", asked: Mapping[str, Any]) -> None:
    """Attach those of a model's regularizers without which its checkpoint cannot be loaded."""
    for each in made({name: options for name, options in asked.items() if regularizer_of(name).lasting}).values():
        each.attach(model)
