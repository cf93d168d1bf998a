"""What stands in no file, such as a cell of a notebook, by what it does: its bytecode and the values that it holds."""

import copyreg
import dis
import functools
import hashlib
import inspect
import itertools
import secrets
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrbench.runner.code.libraries import versions
from lrbench.runner.code.meaning import PACKAGE, digest_of, parsed

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), torch.dtype, torch.device)

STANDARD = Path(inspect.getsourcefile(functools) or "").parent
"""Of Python's own library."""

INCIDENTAL = ("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__first", "__static",
              "__pydantic")  # fmt: skip
"""What attributes of a class begin with that follow from the rest, or say where it was defined."""


def digest_of_made(factory: Callable[..., Any]) -> str:
    """Hash a function or a class, what it refers to that stands in no file either, and the files of what does."""
    digest = hashlib.sha256()
    for part in _Made().parts(factory):
        digest.update(f"{len(part)} {part}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


class _Made:
    """Walks through what something is made of; whatever comes again is told by when it came first."""

    def __init__(self, seen: Mapping[int, Any] | None = None) -> None:
        self.seen = dict(seen or {})

    def parts(self, value: Any) -> Iterator[str]:  # noqa: ANN401
        if isinstance(value, PLAIN):
            yield f"{type(value).__name__} {value!r}"
            return
        if id(value) in self.seen:
            yield f"again {[*self.seen].index(id(value))}"
            return
        # Held on to, so that no other object gets its id meanwhile.
        self.seen[id(value)] = value
        if isinstance(value, set | frozenset):
            # Their order is another in each process.
            yield f"{type(value).__name__} {sorted(' '.join(_Made(self.seen).parts(each)) for each in value)}"
            return
        yield type(value).__name__
        for each in _inside(value):
            yield from self.parts(each)


def _inside(value: Any) -> Iterator[Any]:  # noqa: ANN401
    for kinds, inside in INSIDE:
        if isinstance(value, kinds):
            yield from inside(value)
            # Somebody may hang on what holds values what a function takes from it; most have nothing.
            if isinstance(value, HOLDERS) and (more := getattr(value, "__dict__", None)):
                yield more
            if isinstance(value, defaultdict):
                yield value.default_factory
            return
    yield type(value)
    file = _file_of(type(value))
    # itertools stands in no file, and what its iterators hold is no attribute.
    if (file is None or not _outside(file)) and type(value).__module__ != itertools.__name__:
        yield getattr(value, "__dict__", {})
        yield [getattr(value, name, None) for name in sorted(_slots(type(value)))]
        return
    yield from _reduced(value)


def _slots(kind: type) -> set[str]:
    found = (getattr(each, "__slots__", ()) for each in kind.__mro__)
    return {name for slots in found for name in ([slots] if isinstance(slots, str) else slots)}


def _reduced(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Give what somebody else's object would be pickled as; of one that cannot be, what is never the same again."""
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


def _defined(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Give what a function or a class does as it is now, and the file that it stands in; of a library's, its name."""
    if (file := _file_of(value)) is not None:
        yield from (value.__module__, value.__qualname__, _content(file, value.__module__ or ""))
        if _outside(file) and "<locals>" not in value.__qualname__:
            return
    if isinstance(value, type):
        yield value.__bases__
        yield {name: each for name, each in sorted(vars(value).items()) if not name.startswith(INCIDENTAL)}
        return
    yield from (value.__code__, value.__defaults__, value.__kwdefaults__)
    yield from map(_held, value.__closure__ or ())
    names = sorted(_names(value.__code__))
    used = {name: value.__globals__[name] for name in names if name in value.__globals__}
    yield used
    # What is imported where it is used is no global.
    met = {name: used.get(name, sys.modules.get(name)) for name in names}
    modules = {name: each for name, each in met.items() if isinstance(each, ModuleType) and _own(each)}
    yield [modules, [_used_of(each, names) for each in modules.values()]]
    read = {*names} - _stored(value.__code__)
    yield {name: each for name, each in sorted(vars(value).items()) if name in read}


def _used_of(module: ModuleType, names: Iterable[str]) -> dict[str, Any]:
    """Give what a function may take of a module: what goes by a name that it uses."""
    return {name: vars(module)[name] for name in names if name in vars(module)}


def _networks_of(module: ModuleType) -> Iterator[Any]:
    """Give what a module is, and of somebody's own the networks and numbers in it, by whatever way they are reached."""
    yield module.__name__
    if _own(module):
        held = (nn.Module, Tensor, np.ndarray)
        yield {name: each for name, each in sorted(vars(module).items()) if isinstance(each, held) or _own(each)}


def _own(thing: Any) -> bool:  # noqa: ANN401
    """Whether it is a module of somebody's own, whose content changes as it likes."""
    if not isinstance(thing, ModuleType):
        return False
    file = getattr(thing, "__file__", None)
    return thing.__name__ not in sys.builtin_module_names if file is None else not _outside(Path(file))


def _stored(code: CodeType) -> set[str]:
    """Attributes that a function sets, such as a count of its calls: they follow from what was done with it."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    own = {str(each.argval) for each in dis.get_instructions(code) if each.opname == "STORE_ATTR"}
    return own.union(*map(_stored, inner))


def _held(cell: CellType) -> Any:  # noqa: ANN401
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _network(value: nn.Module) -> Iterator[Any]:
    """Give what a network is and holds, whatever mode it is in and whatever watches its gradients."""
    inside = vars(value)
    yield from (type(value), {name: each for name, each in sorted(inside.items()) if name not in OF_MODULES})
    yield from (inside["_parameters"], inside["_buffers"], inside["_modules"])
    yield from ([*inside[kind].values()] for kind in ("_forward_pre_hooks", "_forward_hooks"))


def _values(value: Tensor) -> Iterator[Any]:
    whole = value.detach().cpu()
    if whole.layout != torch.strided or whole.is_quantized:
        whole = whole.dequantize() if whole.is_quantized else whole.to_dense()
    whole = whole.contiguous()
    yield from (str(whole.dtype), tuple(whole.shape))
    yield hashlib.sha256(whole.reshape(-1).view(torch.uint8).numpy().data).hexdigest() if whole.numel() else ""


def _built_in(value: Any) -> Iterator[Any]:  # noqa: ANN401
    """Give what a built-in function is, and whose method it is: of a tensor, say, or a mapping."""
    yield from (getattr(value, "__module__", None), value.__qualname__)
    if not isinstance(value.__self__, ModuleType | type | None):
        yield value.__self__


def _entries(value: np.ndarray[Any, Any]) -> Iterator[Any]:
    yield from (str(value.dtype), value.shape, value.tolist() if value.dtype.hasobject else value.tobytes())


HOLDERS = (tuple, list, dict, Tensor, np.ndarray)

OF_MODULES = frozenset(vars(nn.Module()))
"""What every network holds."""

INSIDE: tuple[tuple[Any, Callable[[Any], Iterable[Any]]], ...] = (
    ((tuple, list), iter),
    (Mapping, lambda each: itertools.chain.from_iterable(each.items())),
    (CodeType, lambda each: (each.co_code, each.co_names, each.co_varnames, each.co_consts)),
    (functools.partial, lambda each: (each.func, each.args, each.keywords)),
    (MethodType, lambda each: (each.__self__, each.__func__)),
    ((staticmethod, classmethod), lambda each: (each.__func__,)),
    (property, lambda each: (each.fget, each.fset)),
    (ModuleType, _networks_of),
    ((BuiltinFunctionType, MethodWrapperType), _built_in),
    (nn.Module, _network),
    (Tensor, _values),
    (np.ndarray, _entries),
    ((FunctionType, type), _defined),
)
"""What holds other things -> what it holds."""


def _names(code: CodeType) -> set[str]:
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _file_of(thing: Any) -> Path | None:  # noqa: ANN401
    """Give where a class or a function stands; built-in ones stand in the interpreter's own."""
    if getattr(thing, "__module__", None) == "builtins":
        return Path()
    try:
        file = Path(inspect.getsourcefile(inspect.unwrap(thing)) or "")
    except (TypeError, OSError, ValueError):
        return None
    return file if file.is_file() else None


def _content(file: Path, module: str) -> str:
    """Hash a file of somebody's own or of lrbench; a library counts by its version."""
    if not _outside(file) or file.is_relative_to(PACKAGE):
        return digest_of([parsed(file)])
    return " ".join(versions({module.partition(".")[0]}).values())


def _outside(file: Path) -> bool:
    """Whether what stands in a file is nobody's own: a library's, lrbench's, the interpreter's."""
    if {"site-packages", "dist-packages"} & set(file.parts) or file == Path():
        return True
    return file.is_relative_to(STANDARD) or file.is_relative_to(PACKAGE)
