"""What a model's training is regularized by, besides its LR-Layers: names, each with its own options."""

from functools import cache
from types import NoneType
from typing import Any

from pydantic import SerializerFunctionWrapHandler, create_model, model_serializer

from lrbench.catalogue import REGULARIZERS
from lrbench.measures.base import Options
from lrbench.regularizers.registry import regularizer_of
from lrbench.strict import Strict


class Regularizers(Strict):
    """Regularizers by their names, each with its options; `null` takes away what a model inherits."""

    @property
    def asked(self) -> dict[str, Options]:
        """Those that are asked for."""
        return {name: options for name in type(self).model_fields if (options := getattr(self, name)) is not None}

    @property
    def content(self) -> dict[str, Any]:
        """Them as JSON, for keys and descriptions."""
        return {name: options.model_dump(mode="json") for name, options in self.asked.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        # Its class was made for those that are asked for, and stands in no module.
        return read_regularizers, (self.content,)

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, plainly: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say nothing of others: another process, or another machine, may not know them."""
        return {name: value for name, value in plainly(self).items() if value is not None}


def read_regularizers(value: Any) -> Any:  # noqa: ANN401
    """Read what is asked of the regularizers that there are now, with their own options."""
    if isinstance(value, Regularizers):
        return value
    asked = value if isinstance(value, dict) else {}
    # What nobody asks for is not loaded: it loads torch, and may be somebody else's, and broken.
    names = [entry.name for entry in REGULARIZERS]
    kinds = tuple((name, regularizer_of(name).Options if asked.get(name) is not None else None) for name in names)
    return _regularizers(kinds).model_validate(value)


@cache
def _regularizers(options: tuple[tuple[str, type[Options] | None], ...]) -> type[Regularizers]:
    fields: dict[str, Any] = {name: (NoneType if kind is None else kind | None, None) for name, kind in options}
    return create_model("Regularizers", __base__=Regularizers, **fields)
