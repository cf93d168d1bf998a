"""Borrow a model for evaluation and give it back exactly as it was."""

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
    """A module's mode, or whether a parameter takes gradients, before anybody had it; and who has it, by thread."""

    owner: Any
    name: str
    before: Any
    threads: set[int] = field(default_factory=set)

    def put(self, value: Any) -> None:  # noqa: ANN401
        if value is MISSING:
            # A frozen TorchScript has no modes; being put into one has given it the attribute.
            vars(self.owner).pop(self.name, None)
        else:
            setattr(self.owner, self.name, value)


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
    with _lock:
        taken = [_taken(owner, name, thread) for owner, name in _flags(model)]
    try:
        with _lock:
            model.eval()
            for parameter in model.parameters():
                parameter.requires_grad_(False)
        yield model
    finally:
        with _lock:
            for lent, found, mine in taken:
                _give_back(lent, found, thread, mine=mine)


def _flags(model: nn.Module) -> Iterator[tuple[Any, str]]:
    yield from ((module, "training") for module in model.modules())
    yield from ((parameter, "requires_grad") for parameter in model.parameters())


def _taken(owner: Any, name: str, thread: int) -> tuple[_Lent, Any, bool]:  # noqa: ANN401
    """Take a flag; give what is known of it, its value, and whether this thread has it already."""
    found = getattr(owner, name, MISSING)
    lent = _lent.setdefault(id(owner), _Lent(owner, name, found))
    mine = thread in lent.threads
    lent.threads.add(thread)
    return lent, found, mine


def _give_back(lent: _Lent, found: Any, thread: int, *, mine: bool) -> None:  # noqa: ANN401
    if mine:
        # It was given to itself, and is as it was then.
        lent.put(found)
        return
    lent.threads.discard(thread)
    if not lent.threads:
        _lent.pop(id(lent.owner), None)
        lent.put(lent.before)
