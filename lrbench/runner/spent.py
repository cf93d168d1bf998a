"""What attacks took: passes of the model, counted, and time."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lrbench.attacks.counting import counted
from lrbench.store import Row

FIGURES = {"forward": "forward_passes", "backward": "backward_passes", "seconds": "attack_time"}
"""What is kept of each image -> the figure that is its mean."""


@contextmanager
def spending(images: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Measure what a block takes for each of a batch's images, (N,) float64 each, which share it evenly."""
    found: dict[str, Tensor] = {}
    with counted() as count:
        started = time.perf_counter()
        yield found
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - started
    taken = {"forward": count.forward, "backward": count.backward, "seconds": seconds}
    found.update({name: torch.full((images,), value / images, dtype=torch.float64) for name, value in taken.items()})


def spent_rows(spent: Mapping[str, Tensor], columns: Mapping[str, Any]) -> Iterator[Row]:
    """Give the means over images."""
    for name, metric in FIGURES.items():
        yield {"metric": metric, "value": spent[name].mean().item(), "n": len(spent[name]), **columns}
