"""Faults that a suite has as a whole, told where they stand."""

from pydantic_core import PydanticCustomError

from lrbench.strict import KeyPath

ELSEWHERE = "elsewhere"
"""Type of a fault whose context says where (`at`) and what (`message`); the place of its check is the whole suite."""


def fault_at(place: KeyPath, message: str) -> PydanticCustomError:
    """Build the fault of what stands at `place`, for a check that sees the whole suite."""
    where = ".".join(map(str, place))
    return PydanticCustomError(ELSEWHERE, "{where}: {message}", {"at": place, "where": where, "message": message})
