"""Code of the user's, by FILE.py:NAME or PACKAGE.MODULE:NAME. Loading it runs it: a suite is trusted like its code."""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from lrbench.errors import UsageError, nearest, printable, short
from lrbench.files import is_file

MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

Factory = Callable[..., Any]

LIBRARIES = ("art", "foolbox", "torchattacks", "adv-lib")
"""Whose attacks `lrbench.attacks.external` adapts."""


def attack_of(name: str) -> Factory:
    """Give the attack that a name with a colon stands for: of a library, or of the user's.

    Raises
    ------
    UsageError, LookupError
        If there is no such thing.
    """
    source, _, what = name.rpartition(":")
    if source in LIBRARIES or not (source and what):
        from lrbench.registry import load_target  # noqa: PLC0415

        made: Factory = load_target("lrbench.attacks.external:factory_of")(name)
        return made
    return of_user(source, what, "attack", ("model", "x", "y"))


def data_set_of(name: str) -> Factory:
    """Give the user's function that makes a data set.

    Raises
    ------
    UsageError
        If there is no such thing.
    """
    source, _, what = name.rpartition(":")
    return of_user(source, what, "data set", ("root", "train", "test"))


def of_user(source: str, what: str, kind: str, takes: tuple[str, ...]) -> Factory:
    """Give what is called so in FILE.py, relative to the working directory, or in a package's module.

    Parameters
    ----------
    source, what : str
        Before and behind the colon.
    kind : str
        What it should be, in a word.
    takes : tuple of str
        Parameters by which one of a package is known: a suite could name any function there is, with arguments of its
        choice. Of a class those of its calls.

    Raises
    ------
    UsageError
        If there is none, or importing it fails.
    """
    if not source or not what:
        msg = f"{printable(f'{source}:{what}'):.200} is not of the form FILE.py:NAME or PACKAGE.MODULE:NAME"
        raise UsageError(msg)
    if source.endswith(".py"):
        return named_in(imported_file(source), what, source)
    if not MODULE.fullmatch(source) or source.partition(".")[0] in sys.stdlib_module_names:
        msg = f"{printable(source)} is no package of {kind}s"
        raise UsageError(msg)
    try:
        module = importlib.import_module(source)
    except (Exception, SystemExit) as error:
        msg = f"cannot import {source}: {short(error)}"
        raise UsageError(msg) from error
    made = named_in(module, what, source)
    called = made.__call__ if inspect.isclass(made) else made
    if not set(takes) <= set(_parameters(called)):
        msg = f"{source}:{what} does not take {', '.join(takes)}, so it makes no {kind}"
        raise UsageError(msg)
    return made


def imported_file(path: str) -> ModuleType:
    """Import a file under a name of its own; the file's imports from beside it work.

    Raises
    ------
    UsageError
        If there is none, or its code fails.
    """
    file = Path(path).expanduser()
    if not is_file(file):
        msg = f"no such file: {str(path)[:200]}"
        raise UsageError(msg)
    return _imported(file.resolve())


def code_behind(name: str, libraries: tuple[str, ...]) -> str | None:
    """Give the file or module that a name makes us run; None for a library's, and for one without a colon."""
    source, _, _ = name.rpartition(":")
    if not source or source in libraries:
        return None
    if not source.endswith(".py"):
        return f"the module {printable(source)[:200]}"
    file = Path(source).expanduser()
    return str(file.resolve()) if is_file(file) else None


def with_absolute_path(name: str) -> str:
    """Name a file of the user's by its absolute path: other processes may stand elsewhere."""
    source, colon, what = name.rpartition(":")
    return f"{Path(source).expanduser().absolute()}{colon}{what}" if source.endswith(".py") else name


def _parameters(function: Factory) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _imported(file: Path) -> ModuleType:
    name = f"lrbench_user_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None  # noqa: S101
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        msg = f"importing {file} failed: {type(error).__name__}: {short(error)}"
        raise UsageError(msg) from error
    finally:
        sys.path.remove(str(file.parent))
    return module


def named_in(module: ModuleType, name: str, where: str) -> Factory:
    """Give what can be called so in a module, which messages call `where`.

    Raises
    ------
    UsageError
        If there is none.
    """
    found = getattr(module, name, None)
    if not callable(found):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        msg = f"{where} has no function {name!r}; {nearest(name, names)}"
        raise UsageError(msg)
    made: Factory = found
    return made
