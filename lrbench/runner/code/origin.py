"""Whose a function, a class or a file is: the user's, or nobody's own."""

import functools
import inspect
import sys
from pathlib import Path
from typing import Any

from lrbench.runner.code.libraries import versions
from lrbench.runner.code.meaning import PACKAGE, digest_of, parsed

STANDARD = Path(inspect.getsourcefile(functools) or "").parent
"""Of Python's own library."""

HEAP = 1 << 9
"""The flag of classes that a class statement made, and of some others."""


def file_of(thing: Any) -> Path | None:  # noqa: ANN401
    """Give where a class or a function stands; built-in ones stand in the interpreter's own."""
    if getattr(thing, "__module__", None) == "builtins":
        return Path()
    try:
        file = Path(inspect.getsourcefile(inspect.unwrap(thing)) or "")
    except (TypeError, OSError, ValueError):
        return None
    # What was typed into a library's program, as into a shell, says that it stands in that program.
    is_typed = thing.__module__ == "__main__" and is_outside(file)
    return file if file.is_file() and not is_typed else None


def content(file: Path, module: str) -> str:
    """Hash a file of somebody's own or of lrbench; a library counts by its version."""
    if not is_outside(file) or file.is_relative_to(PACKAGE):
        return digest_of([parsed(file)])
    return " ".join(versions({module.partition(".")[0]}).values())


def is_outside(file: Path) -> bool:
    """Whether what stands in a file is nobody's own: a library's, lrbench's, the interpreter's."""
    if {"site-packages", "dist-packages"} & set(file.parts) or file == Path():
        return True
    return file.is_relative_to(STANDARD) or file.is_relative_to(PACKAGE)


def is_defined_by_user(kind: type) -> bool:
    """Whether a class is neither built in nor a library's, though it may stand in no file."""
    if not kind.__flags__ & HEAP:
        return False
    if (file := file_of(kind)) is not None:
        return not is_outside(file) or "<locals>" in kind.__qualname__
    # What a library has compiled stands in no file that can be read.
    top = str(kind.__module__).partition(".")[0]
    package = None if top == "__main__" else getattr(sys.modules.get(top), "__file__", None)
    return top not in sys.stdlib_module_names and (package is None or not is_outside(Path(package)))
