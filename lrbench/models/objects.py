"""Networks that were handed over in Python: a suite names one `object:NAME`, which this process alone can look up."""

import copy
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import cloudpickle
import torch
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
            self.network = _copied(network).cpu().eval() if isinstance(network, nn.Module) else network
        # What a network holds besides tensors raises what it likes.
        except Exception as error:
            msg = f"cannot be copied: {short(error)}; register a function that makes it (`lrbench.register_model`)"
            raise UsageError(msg) from error

    def __call__(self) -> Any:  # noqa: ANN401
        """Give the network."""
        return _copied(self.network) if isinstance(self.network, nn.Module) else self.network

    def __reduce__(self) -> tuple[Any, ...]:
        """Take classes that stand in a notebook along."""
        if isinstance(self.network, torch.jit.ScriptModule):
            return _unpickled, (_scripted(self.network), True)
        return _unpickled, (cloudpickle.dumps(self.network), False)


def _unpickled(content: bytes, scripted: bool) -> Handed:
    return Handed(_loaded(content) if scripted else cloudpickle.loads(content))


def _copied(network: nn.Module) -> nn.Module:
    # What copy makes of TorchScript has parameters that follow from others, whose gradients cannot be turned off.
    if isinstance(network, torch.jit.ScriptModule):
        return _loaded(_scripted(network))
    return copy.deepcopy(network)


def _loaded(content: bytes) -> nn.Module:
    network: nn.Module = torch.jit.load(io.BytesIO(content))  # type: ignore[no-untyped-call]
    return network


def _scripted(network: torch.jit.ScriptModule) -> bytes:
    content = io.BytesIO()
    torch.jit.save(network, content)
    return content.getvalue()


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
