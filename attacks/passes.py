"""Passes of a model over many examples: how many at a time, and that an example's logits do not depend on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

MULTIPLE = 4
"""Passes are filled up to a multiple of so many examples.

On the CPU (MKL) matrix products of other numbers of rows are rounded otherwise, and an example's logits would depend on
how many others there are.
"""


@dataclass(frozen=True)
class Pace:
    """How a kind of device is kept busy.

    Attributes
    ----------
    width : int
        Most examples in a pass.
    full : int
        Examples below which a pass costs hardly less than with so many.
    every : int
        Passes after which the host asks who is over; that waits for the device.
    """

    width: int
    full: int
    every: int


FEW = 32
"""Examples that are taken to fit into memory, until they do not."""

PACES = {"cpu": Pace(width=64, full=FEW, every=1)}
ELSEWHERE = Pace(width=1024, full=512, every=10)


_LIMIT: ContextVar[int | None] = ContextVar("limit", default=None)


@contextmanager
def at_most(count: int | None) -> Iterator[None]:
    """Let passes hold no more examples than that, but for those that fill one up to a multiple; None for no limit."""
    token = _LIMIT.set(count)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def pace(device: torch.device) -> Pace:
    """Give the pace of a device."""
    found, limit = PACES.get(device.type, ELSEWHERE), _LIMIT.get()
    return found if limit is None else replace(found, width=min(found.width, limit), full=min(found.full, limit))


def rounded_up(count: int) -> int:
    """Give how many examples a pass over so many holds."""
    limit = _LIMIT.get()
    # Where three at a time are asked for, four may fit; where fewer are, four did not.
    if limit is not None and limit < MULTIPLE - 1:
        return count
    return -(-count // MULTIPLE) * MULTIPLE


class Steady(nn.Module):
    """A model whose passes hold a multiple of `MULTIPLE` examples; what fills them up is left out of the logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        # Not a submodule: it is lent, and stays as it is.
        self._model = (model,)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        lacking = rounded_up(len(x)) - len(x)
        if not lacking:
            logits: Tensor = self._model[0](x)
            return logits
        filled = torch.cat([x, x.detach()[:1].expand(lacking, *x.shape[1:])])
        logits = self._model[0](filled)
        return logits[: len(x)]


def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    """Give logits without gradients, in passes of the device's width."""
    steady = Steady(model)
    with torch.no_grad():
        return torch.cat([steady(x[each]) for each in parts_of(x)])


def parts_of(x: Tensor) -> list[slice]:
    """Divide examples into passes of the device's width."""
    width = pace(x.device).width
    return [slice(start, start + width) for start in range(0, len(x), width)]


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor of the CPU to a device, without waiting for what a GPU is at."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


class LateNumber:
    """A number that a GPU has computed, read by the host when it has long arrived; on a CPU, at once."""

    def __init__(self, value: float) -> None:
        self._value = value
        self._sent: tuple[Tensor, torch.cuda.Event] | None = None

    def send(self, value: Tensor) -> None:
        """Send a newer one, (), float64."""
        if value.device.type != "cuda":
            self._value = value.item()
            return
        here = torch.empty((), dtype=value.dtype, device="cpu", pin_memory=True).copy_(value, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        self._sent = here, arrived

    def read(self) -> float:
        """Give the newest that has arrived."""
        if self._sent is not None and self._sent[1].query():  # type: ignore[no-untyped-call]
            self._value, self._sent = self._sent[0].item(), None
        return self._value


PROMPT = {"cpu"}
"""Kinds of device that are through with their work when the host asks for what came of it."""


def waits(device: torch.device) -> bool:
    """Whether the host, asking for what a tensor holds, waits for the device."""
    return device.type not in PROMPT


def certainly_none(mask: Tensor) -> bool:
    """Whether a mask is known to hold nowhere; False where asking would wait for the device."""
    return not waits(mask.device) and not mask.any()
