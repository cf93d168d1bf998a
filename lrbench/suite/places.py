"""Faults that a suite has as a whole, told where they stand."""

from pydantic_core import PydanticCustomError

from lrbench.strict import KeyPath

AT = "at"
"""In a fault's context: the place, if it is another one than what was being validated."""


def fault_at(place: KeyPath, message: str) -> PydanticCustomError:
    """Build the fault of what stands at `place`, for a check that sees the whole suite."""
    return PydanticCustomError("elsewhere", "{message}", {"message": message, AT: place})
