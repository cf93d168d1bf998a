"""Random numbers that belong to an example, whatever batch it comes in."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .passes import sent

DRAWN: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float32}
"""Where and as what random numbers are drawn, whatever torch's default device and dtype are, which are the caller's."""


class Noise:
    """A stream of random numbers for each example of a batch.

    Each stream is seeded by the example's own content, the attack's seed and a purpose, so that what an example meets
    does not depend on who else is in the batch, on the batch's size, or on the device. Numbers are drawn on the CPU.

    Parameters
    ----------
    x : Tensor, (N, ...)
        The clean examples.
    seed : int
    purpose : str, or one an example
        Sets apart streams of the same example, such as those of two restarts.
    """

    def __init__(self, x: Tensor, seed: int, purpose: str | Sequence[str] = "") -> None:
        self.device, self.dtype = x.device, x.dtype
        purposes = [purpose] * len(x) if isinstance(purpose, str) else purpose
        self._generators = [
            torch.Generator().manual_seed(_digest(content, seed, each))
            for content, each in zip(contents(x), purposes, strict=True)
        ]

    def uniform(self, *shape: int) -> Tensor:
        """Draw from [0, 1): (N, *shape)."""
        return self._stacked(Tensor.uniform_, shape)

    def normal(self, *shape: int) -> Tensor:
        """Draw from the standard normal distribution: (N, *shape)."""
        return self._stacked(Tensor.normal_, shape)

    def _stacked(self, draw: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        # Drawn where they stay, in memory that a GPU takes them from.
        drawn = torch.empty(len(self._generators), *shape, **DRAWN, pin_memory=self.device.type == "cuda")
        for place, generator in zip(drawn.unbind(), self._generators, strict=True):
            draw(place, generator=generator)
        return sent(drawn, self.device).to(self.dtype)


class FreshNoise:
    """Random numbers from torch's global generator, on the device of `x`; the same interface as `Noise`."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def uniform(self, *shape: int) -> Tensor:
        """Draw from [0, 1): (N, *shape)."""
        return torch.rand(len(self.x), *shape, dtype=self.x.dtype, device=self.x.device)

    def normal(self, *shape: int) -> Tensor:
        """Draw from the standard normal distribution: (N, *shape)."""
        return torch.randn(len(self.x), *shape, dtype=self.x.dtype, device=self.x.device)


def contents(x: Tensor) -> Iterator[bytes]:
    """Give each example's numbers, in float32."""
    return (row.tobytes() for row in x.detach().float().cpu().contiguous().numpy())


def _digest(content: bytes, seed: int, purpose: str) -> int:
    digest = hashlib.blake2b(content, digest_size=8, key=f"{seed}/{purpose}".encode()[:64])
    return int.from_bytes(digest.digest(), "big") >> 1
