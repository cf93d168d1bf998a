"""What functions, classes and modules do and refer to."""

import dis
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn

from lrbench.runner.code.origin import content, file_of, is_defined_by_user, is_outside

INCIDENTAL = ("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__first", "__static",
              "__pydantic")  # fmt: skip
"""What attributes of a class begin with that follow from the rest, or say where it was defined."""

CALLED_BY = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | inspect.CO_ITERABLE_COROUTINE
    | inspect.CO_ASYNC_GENERATOR
)
"""Flags of code that change what a call gives; others say how it was compiled."""


def code_parts(code: CodeType) -> Iterator[Any]:
    """Give what a function's code does, and how it takes its arguments."""
    yield from (code.co_code, code.co_names, code.co_varnames, code.co_consts, code.co_exceptiontable)
    yield from (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & CALLED_BY)


def class_parts(value: type) -> Iterator[Any]:
    """Give what a class is as it is now, and the file that it stands in; of a library's, its name."""
    where, is_whole = _where(value)
    yield from where
    if is_whole:
        return
    yield value.__bases__
    yield {name: each for name, each in sorted(vars(value).items()) if not name.startswith(INCIDENTAL)}
    if is_defined_by_user(type(value)):
        yield type(value)


def function_parts(value: FunctionType) -> Iterator[Any]:
    """Give what a function does as it is now, and the file that it stands in; of a library's, its name."""
    where, is_whole = _where(value)
    yield from where
    if is_whole:
        return
    yield from (value.__code__, value.__defaults__, value.__kwdefaults__)
    cells = [*map(_held, value.__closure__ or ())]
    yield from cells
    names = sorted(_names(value.__code__))
    used = {name: value.__globals__[name] for name in names if name in value.__globals__}
    yield used
    # What is imported where it is used is no global.
    met = {name: used.get(name, sys.modules.get(name)) for name in names}
    modules = {name: each for name, each in met.items() if isinstance(each, ModuleType) and _own(each)}
    read = {*names, *_looked_up(value.__code__)}
    yield [modules, [_used_of(each, sorted(read)) for each in modules.values()]]
    # A function sets some of its attributes itself, such as a count of its calls: they follow from what it did.
    read -= _stored(value.__code__)
    functions = (each for each in (*cells, *used.values()) if isinstance(each, FunctionType) and each is not value)
    for each in (value, *functions):
        yield _used_of(each, sorted(read - _stored(each.__code__)))


def module_parts(module: ModuleType) -> Iterator[Any]:
    """Give what a module is, and of somebody's own the networks and numbers in it, by whatever way they are reached."""
    yield module.__name__
    if _own(module):
        held = (nn.Module, Tensor, np.ndarray)
        yield {name: each for name, each in sorted(vars(module).items()) if isinstance(each, held) or _own(each)}


def _where(value: Any) -> tuple[list[str], bool]:  # noqa: ANN401
    """Give where a function or a class stands, and whether that says all, as it does of a library's."""
    if (file := file_of(value)) is None:
        return [], False
    found = [value.__module__, value.__qualname__, content(file, value.__module__ or "")]
    return found, is_outside(file) and "<locals>" not in value.__qualname__ and not _is_wrapper(value)


def _is_wrapper(value: Any) -> bool:  # noqa: ANN401
    """Whether it is somebody's own around a library's function, whose name and module `functools.wraps` gave it."""
    code = getattr(value, "__code__", None)
    return code is not None and hasattr(value, "__wrapped__") and not is_outside(Path(code.co_filename))


def _used_of(thing: ModuleType | FunctionType, names: Iterable[str]) -> dict[str, Any]:
    """Give what a function may take of a module, or of a function: what goes by a name that it uses."""
    return {name: vars(thing)[name] for name in names if name in vars(thing)}


def _own(thing: Any) -> bool:  # noqa: ANN401
    """Whether it is a module of somebody's own, whose content changes as it likes."""
    if not isinstance(thing, ModuleType):
        return False
    file = getattr(thing, "__file__", None)
    return thing.__name__ not in sys.builtin_module_names if file is None else not is_outside(Path(file))


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*map(_names, _inner(code)))


def _looked_up(code: CodeType) -> set[str]:
    """Texts in code that looks up attributes by them, unless it sets attributes by them, too."""
    texts = {each for each in code.co_consts if isinstance(each, str)}
    own = texts if "getattr" in code.co_names and "setattr" not in code.co_names else set()
    return own.union(*map(_looked_up, _inner(code)))


def _stored(code: CodeType) -> set[str]:
    own = {str(each.argval) for each in dis.get_instructions(code) if each.opname == "STORE_ATTR"}
    return own.union(*map(_stored, _inner(code)))


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (each for each in code.co_consts if isinstance(each, CodeType))


def _held(cell: CellType) -> Any:  # noqa: ANN401
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None
