"""Images that stay on disk and are read when they are asked for."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

AHEAD = 3
"""Batches that are read before they are asked for."""

T = TypeVar("T")
Read = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Streamed:
    """Images by number, in a file or in files; a choice of them is made without reading any.

    Attributes
    ----------
    source : callable
        Int64 numbers, (n,), on the CPU, to uint8 images, (n, C, H, W), on the CPU; called from several threads.
    identity : str
        Says which images the source gives.
    index : Tensor, (N,), int64, on the CPU
        Numbers of the images chosen.
    size : (int, int, int)
        C, H, W.
    device : torch.device
        Where images go that are read.
    """

    source: Read
    identity: str
    index: Tensor
    size: tuple[int, int, int]
    device: torch.device = torch.device("cpu")  # noqa: RUF009

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape that all of them have together, (N, C, H, W)."""
        return (len(self.index), *self.size)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, chosen: Tensor | slice) -> "Streamed":
        where = chosen.cpu() if isinstance(chosen, Tensor) else chosen
        return replace(self, index=self.index[where])

    def to(self, device: torch.device) -> "Streamed":
        """Leave them where they are; what is read goes to this device."""
        return replace(self, device=torch.device(device))

    def read(self) -> Tensor:
        """Read all of them."""
        images = self.source(self.index)
        if self.device.type == "cuda":
            return images.pin_memory().to(self.device, non_blocking=True)
        return images.to(self.device)


def ahead(work: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Give what each callable gives, in order; a thread works ahead of whoever takes it."""
    with ThreadPoolExecutor(1) as pool:
        waiting: list[Future[T]] = []
        try:
            for task in work:
                waiting.append(pool.submit(task))
                if len(waiting) > AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
