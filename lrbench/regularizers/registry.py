"""Regularizers by the names that they are registered under."""

from collections.abc import Mapping
from typing import Any

from lrbench.catalogue import REGULARIZERS
from lrbench.errors import UsageError
from lrbench.regularizers.base import Regularizer


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


def made(asked: Mapping[str, Any], *, lasting: bool = False) -> dict[str, Regularizer]:
    """Make the regularizers of a model; with `lasting`, those alone without which its checkpoint cannot be loaded.

    Parameters
    ----------
    asked : mapping
        Name -> its options, or a mapping that they are read from.
    lasting : bool
    """
    kinds = {name: regularizer_of(name) for name in asked}
    return {
        name: kind(kind.Options.model_validate(asked[name])) for name, kind in kinds.items() if kind.lasting or not lasting
    }
