"""The base of every record of a suite, a measure's options among them, and the field types they share."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from lrbench.errors import nearest

KeyPath = tuple[str | int, ...]
"""Where in a document something stands."""


class Strict(BaseModel):
    """A record that refuses unknown keys with the nearest valid name, and never guesses a type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    renamed: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Keys that it had in earlier versions -> what they are called now."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:  # noqa: ANN401
        for old, new in cls.renamed.items() if isinstance(data, dict) else ():
            if old in data:
                said = {"key": old, "new": new}
                raise PydanticCustomError("unknown_key", "unknown key; it is now called {new}", said)
        if isinstance(data, dict) and cls.model_config.get("extra") == "forbid":
            for key in data:
                if key not in cls.model_fields:
                    raise unknown_key(str(key), list(cls.model_fields))
        return data


def unknown_key(key: str, valid: list[str]) -> PydanticCustomError:
    """Build the error for a key that a record does not have; its context names the key."""
    return PydanticCustomError(
        "unknown_key", "unknown key; {suggestion}", {"key": key, "suggestion": nearest(key, valid)}
    )


_FRACTION = re.compile(r"([+-]?[0-9.]{1,20}(?:[eE][+-]?[0-9]{1,3})?)(?:/([0-9.]{1,20}))?")


def _fraction(value: Any) -> Any:  # noqa: ANN401
    """Turn "8/255" into a float; leave everything else to the field's own check."""
    if isinstance(value, str):
        parts = _FRACTION.fullmatch(value.replace(" ", ""))
        try:
            return float(parts[1]) / float(parts[2] or 1)  # type: ignore[index]
        except (TypeError, ValueError, ZeroDivisionError):
            msg = "should be a number or a fraction such as 8/255"
            raise PydanticCustomError("fraction", msg) from None
    return value


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        msg = "lists a value twice"
        raise ValueError(msg)
    return values


Number = Annotated[float, Field(strict=False)]
Eps = Annotated[float, BeforeValidator(_fraction), Field(ge=0, le=255, strict=False)]
NonNegative = Annotated[Number, Field(ge=0)]
Positive = Annotated[Number, Field(gt=0)]
Distinct = AfterValidator(_distinct)
"""Of a list: no value twice."""
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=2**31)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=80)]


def _one_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        msg = "should be a line of printable characters"
        raise PydanticCustomError("title", msg)
    if text[:1] in set("=+-@"):
        msg = "should not begin with =, +, - or @, which spreadsheets take for a formula"
        raise PydanticCustomError("title", msg)
    return text


Title = Annotated[str, AfterValidator(_one_line), Field(min_length=1, max_length=60)]
