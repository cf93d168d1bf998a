"""Networks that were handed over in Python: a suite names one `object:NAME`, which this process alone can look up."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import cloudpickle
from torch import nn

from lrbench.errors import UsageError, short

PREFIX = "object:"

OBJECTS: dict[str, "Handed"] = {}
"""Name -> network, as long as a run needs it."""


class Handed:
    """A factory of one network: gives a copy of it, on the CPU and in evaluation mode.

    Can be pickled whatever the network is made of, so that other processes have it, too.

    Parameters
    ----------
    network : nn.Module or callable
        A function is given as it is.

    Raises
    ------
    UsageError
        If it cannot be copied.
    """

    def __init__(self, network: Any) -> None:  # noqa: ANN401
        try:
            self.network = copy.deepcopy(network).cpu().eval() if isinstance(network, nn.Module) else network
        # What a network holds besides tensors raises what it likes.
        except Exception as error:
            msg = f"cannot be copied: {short(error)}; register a function that makes it (`lrbench.register_model`)"
            raise UsageError(msg) from error

    def __call__(self) -> Any:  # noqa: ANN401
        """Give the network."""
        return copy.deepcopy(self.network) if isinstance(self.network, nn.Module) else self.network

    def __reduce__(self) -> tuple[Any, ...]:
        """Take classes that stand in a notebook along."""
        return _unpickled, (cloudpickle.dumps(self.network),)


def _unpickled(content: bytes) -> Handed:
    return Handed(cloudpickle.loads(content))


@contextmanager
def handed_over(networks: Mapping[str, Handed]) -> Iterator[None]:
    """Let networks be looked up by `object:NAME`."""
    before = dict(OBJECTS)
    OBJECTS.update(networks)
    try:
        yield
    finally:
        OBJECTS.clear()
        OBJECTS.update(before)


def object_named(name: str) -> Handed:
    """Give what was handed over under a name.

    Raises
    ------
    UsageError
        If nothing was, in this process.
    """
    if name not in OBJECTS:
        msg = f"{name} was handed over in Python: `lrbench.evaluate({{{name!r}: network}}, ...)` resumes this run"
        raise UsageError(msg)
    return OBJECTS[name]
