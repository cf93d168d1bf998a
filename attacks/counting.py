"""How many images pass a lent model, forwards and backwards: counted where they pass, whoever's attack it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor

from .cost import Passes


@dataclass
class Count:
    """Images that have passed; an image counts as often as it does.

    Those that fill a pass up to the size at which its results do not depend on who else is in it count, too, and so do
    points that were tried ahead of their turn, in vain.
    """

    forward: int = 0
    backward: int = 0

    def each(self, images: int) -> Passes:
        """Share them among images."""
        return Passes(self.forward / images, self.backward / images)


_COUNT: ContextVar[Count | None] = ContextVar("lrbench_count", default=None)


@contextmanager
def counted() -> Iterator[Count]:
    """Count the passes of prepared models in this block."""
    count = Count()
    token = _COUNT.set(count)
    try:
        yield count
    finally:
        _COUNT.reset(token)


def noted(logits: Tensor) -> Tensor:
    """Note that images have passed forwards, and that they pass backwards when they do; give the logits."""
    count = _COUNT.get()
    if count is not None:
        count.forward += len(logits)
        if logits.requires_grad:

            def back(gradient: Tensor) -> None:
                count.backward += len(gradient)

            logits.register_hook(back)  # type: ignore[no-untyped-call]
    return logits
