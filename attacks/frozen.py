"""Borrow a model for evaluation and give it back exactly as it was."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

MISSING = object()
"""Of a module that has no mode."""


@dataclass
class _Lent:
    """A module or a parameter that is lent: its flag before anybody had it, and who has it, by thread."""

    owner: Any
    before: Any
    threads: set[int] = field(default_factory=set)


_lock = threading.RLock()
_lent: dict[int, _Lent] = {}
"""What is lent, by the id of the module or the parameter: wrapped models share those of what they wrap."""


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """Put `model` in evaluation mode without parameter gradients; restore every flag on leaving.

    Evaluation mode keeps batch-norm statistics untouched and makes outputs independent of the batch;
    parameters without `requires_grad` collect no `.grad` and make the backward pass cheaper. Of several threads that
    have a model at the same time, the last one gives it back.

    Parameters
    ----------
    model : nn.Module
        Any module. Modes are restored module by module, since parts may have been frozen on purpose.
    """
    thread = threading.get_ident()
    taken: list[_Taken] = []
    try:
        with _lock:
            # Noted before it is changed: whatever interrupts this, what was taken is given back.
            for owner, name in _flags(model):
                taken.append(_Taken(owner, name, thread))
                taken[-1].take()
            model.eval()
            for parameter in model.parameters():
                parameter.requires_grad_(False)
        yield model
    finally:
        with _lock:
            for each in taken:
                each.give_back()


def _flags(model: nn.Module) -> Iterator[tuple[Any, str]]:
    yield from ((module, "training") for module in model.modules())
    yield from ((parameter, "requires_grad") for parameter in model.parameters())


class _Taken:
    """A flag that a thread has taken, and its value then."""

    def __init__(self, owner: Any, name: str, thread: int) -> None:  # noqa: ANN401
        self.owner, self.name, self.thread = owner, name, thread
        self.found = getattr(owner, name, MISSING)
        lent = _lent.get(id(owner))
        self.again = lent is not None and thread in lent.threads

    def take(self) -> None:
        _lent.setdefault(id(self.owner), _Lent(self.owner, self.found)).threads.add(self.thread)

    def give_back(self) -> None:
        """Put it as it was before anybody had it, if nobody else has it; what a thread took again, as it was then."""
        lent = _lent.get(id(self.owner))
        if self.again or lent is None:
            self._put(self.found)
            return
        lent.threads.discard(self.thread)
        if not lent.threads:
            del _lent[id(self.owner)]
            self._put(lent.before)

    def _put(self, value: Any) -> None:  # noqa: ANN401
        if value is MISSING:
            # A frozen TorchScript has no modes; being put into one has given it the attribute.
            vars(self.owner).pop(self.name, None)
        else:
            setattr(self.owner, self.name, value)


def _forget() -> None:
    """Of a process that was forked no other thread is left, which might hold the lock or have a model."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()
    _lent.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
