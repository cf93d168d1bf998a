"""Looks at a figure of a GPU without waiting for it."""

from typing import Any

import torch
from torch import Tensor

from lrbench.lowrank import devices

CHECK = 16
"""Of so many updates one sends its figure, and the next such one looks at it."""


class LateWatch:
    """Whether a figure went beyond a bound, told a little later: when the host looks, it arrived long ago.

    Parameters
    ----------
    bound : float or None
        None: nothing is watched.
    """

    def __init__(self, bound: float | None) -> None:
        self.bound = bound
        self.over = False
        self._sent: tuple[Tensor, torch.cuda.Event | None] | None = None

    def exceeded(self, count: int) -> bool:
        """Whether the figure sent last is beyond the bound; at the updates between, False."""
        if count % CHECK:
            return False
        self.settle()
        over, self.over = self.over, False
        return over

    def send(self, count: int, figure: Tensor) -> None:
        """Send an update's figure to the host."""
        if self.bound is None or count % CHECK or devices.on_cpu(figure):
            return
        self._sent = figure.clone(), None
        if figure.is_cuda:
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._sent = torch.empty((), dtype=figure.dtype, pin_memory=True).copy_(figure, non_blocking=True), arrived
            arrived.record()

    def settle(self) -> None:
        """Look now at what was sent."""
        if self._sent is not None and self.bound is not None:
            copy, arrived = self._sent
            if arrived is not None:
                arrived.synchronize()
            self.over, self._sent = not copy.item() <= self.bound, None

    def __getstate__(self) -> dict[str, Any]:
        # A copy of the layer waits for no event of the original.
        self.settle()
        return vars(self).copy()
