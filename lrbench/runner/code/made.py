"""What stands in no file, such as a cell of a notebook, by what it does: its bytecode and the values that it holds."""

import copyreg
import functools
import hashlib
import itertools
import secrets
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrbench.runner.code.definitions import class_parts, code_parts, function_parts, module_parts
from lrbench.runner.code.networks import TORCHSCRIPT, network_parts, tensor_parts, torchscript_parts
from lrbench.runner.code.origin import HEAP, file_of, is_defined_by_user, is_outside

TEXTS = (int, float, complex, str, bytes)
"""What is told by its text, and can be derived from."""

PLAIN = frozenset({*TEXTS, bool, type(None), type(...), torch.dtype, torch.device})


def digest_of_made(factory: Callable[..., Any]) -> str:
    """Hash a function or a class, what it refers to that stands in no file either, and the files of what does."""
    digest = hashlib.sha256()
    try:
        for part in _Made().parts(factory):
            digest.update(f"{len(part)} {part}".encode("utf-8", "surrogatepass"))
    # Any object may refuse in its own way. It can be measured all the same, and is measured anew each time.
    except Exception:  # noqa: BLE001
        digest.update(secrets.token_bytes())
    return digest.hexdigest()[:16]


class _Made:
    """Walks through what something is made of; whatever comes again is told by when it came first."""

    def __init__(self, seen: Mapping[int, tuple[int, Any]] | None = None) -> None:
        self.seen = dict(seen or {})

    def parts(self, value: Any) -> Iterator[str]:  # noqa: ANN401
        if type(value) in PLAIN:
            yield f"{type(value).__name__} {value!r}"
            return
        if id(value) in self.seen:
            yield f"again {self.seen[id(value)][0]}"
            return
        # Held on to, so that no other object gets its id meanwhile.
        self.seen[id(value)] = len(self.seen), value
        yield type(value).__name__
        if isinstance(value, set | frozenset):
            # Their order is another in each process.
            yield f"{sorted(' '.join(_Made(self.seen).parts(each)) for each in _as(value, (set, frozenset)))}"
        for each in _inside(value):
            yield from self.parts(each)


def _inside(value: Any) -> Iterator[Any]:  # noqa: ANN401
    kind = type(value)
    for kinds, inside in INSIDE:
        if isinstance(value, kinds):
            yield from inside(value)
            users = is_defined_by_user(kind)
            if users:
                yield kind
            # Somebody may hang on what holds values what a function takes from it; most have nothing.
            if isinstance(value, HOLDERS) or (users and isinstance(value, Mapping)):
                yield from _attributes(value)
            if isinstance(value, defaultdict):
                yield value.default_factory
            return
    yield kind
    file = file_of(kind)
    # itertools stands in no file, and what its iterators hold is no attribute.
    if (file is not None and is_outside(file)) or kind.__module__ == itertools.__name__:
        yield from _reduced(value)
        return
    yield from _attributes(value)
    if _holds_more_than_attributes(kind):
        yield from _reduced(value)


def _attributes(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Give what hangs on an object, by name or in slots, however their names are mangled."""
    if more := getattr(value, "__dict__", None):
        yield more
    for base in type(value).__mro__:
        if "__slots__" in vars(base):
            slots = [each for each in vars(base).values() if isinstance(each, MemberDescriptorType)]
            yield {each.__name__: _slot(each, value) for each in sorted(slots, key=lambda each: each.__name__)}


def _slot(slot: MemberDescriptorType, value: Any) -> Any:  # noqa: ANN401
    try:
        return slot.__get__(value, type(value))
    except AttributeError:  # not set yet
        return None


def _holds_more_than_attributes(kind: type) -> bool:
    """Whether a class is derived from one that is not written in Python, such as a deque; found as `copyreg` does."""
    for base in kind.__mro__:
        new = getattr(base, "__new__", None)
        if not base.__flags__ & HEAP or (isinstance(new, BuiltinFunctionType) and new.__self__ is base):
            return base not in {object, kind, threading.local}
    return False


def _reduced(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Give what an object would be pickled as; of one that cannot be, what is never the same again."""
    # What remembers a function's results is pickled as the function's name.
    if (wrapped := getattr(value, "__wrapped__", None)) is not None:
        yield wrapped
    try:
        known = copyreg.dispatch_table.get(type(value))
        reduced = value.__reduce_ex__(4) if known is None else known(value)
        # Items of lists and mappings come as iterators.
        parts = (
            [reduced]
            if isinstance(reduced, str)
            else [p if i < 3 or p is None else [*p] for i, p in enumerate(reduced)]
        )
    # Any class may refuse in its own way.
    except Exception:  # noqa: BLE001
        parts = [secrets.token_hex()]
    yield from parts


def _as(value: Any, kinds: Iterable[Any]) -> Iterator[Any]:  # noqa: ANN401
    """Give what a list, say, holds, whatever a class that is derived from it makes of iterating."""
    iterate = next(kind.__iter__ for kind in kinds if isinstance(value, kind))
    yield from iterate(value)


def _items(value: Mapping[Any, Any]) -> Iterator[Any]:
    kinds: tuple[Any, ...] = (OrderedDict, dict, type(value))
    items = next(kind.items for kind in kinds if isinstance(value, kind))
    yield from itertools.chain.from_iterable(items(value))


def _text(value: Any) -> Iterator[str]:  # noqa: ANN401
    yield next(kind.__repr__(value) for kind in TEXTS if isinstance(value, kind))


def _built_in(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Give what a built-in function is, and whose method it is: of a tensor, say, or a mapping."""
    yield from (getattr(value, "__module__", None), value.__qualname__)
    if not isinstance(value.__self__, ModuleType | type | None):
        yield value.__self__


def _entries(value: np.ndarray[Any, Any]) -> Iterator[Any]:
    yield from (str(value.dtype), value.shape, value.tolist() if value.dtype.hasobject else value.tobytes())


HOLDERS = (tuple, list, dict, set, frozenset, functools.partial, Tensor, np.ndarray, *TEXTS)

INSIDE: tuple[tuple[Any, Callable[[Any], Iterable[Any]]], ...] = (
    ((tuple, list), lambda each: _as(each, (tuple, list))),
    ((set, frozenset), lambda _: ()),
    (TEXTS, _text),
    (Mapping, _items),
    (CodeType, code_parts),
    (functools.partial, lambda each: (each.func, each.args, each.keywords)),
    (MethodType, lambda each: (each.__self__, each.__func__)),
    ((staticmethod, classmethod), lambda each: (each.__func__,)),
    (property, lambda each: (each.fget, each.fset)),
    (ModuleType, module_parts),
    ((BuiltinFunctionType, MethodWrapperType), _built_in),
    (TORCHSCRIPT, torchscript_parts),
    (nn.Module, network_parts),
    (Tensor, tensor_parts),
    (np.ndarray, _entries),
    (FunctionType, function_parts),
    (type, class_parts),
)
"""What holds other things -> what it holds."""
