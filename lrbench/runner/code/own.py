"""A user's own code behind a factory: its file, and what that imports from beside it."""

import functools
import inspect
import sys
import sysconfig
import weakref
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from lrbench.errors import UsageError
from lrbench.models.objects import Handed
from lrbench.models.onnx_file import files_of
from lrbench.registry import Entry
from lrbench.runner.code.imports import Import, refers
from lrbench.runner.code.libraries import is_installed
from lrbench.runner.code.made import digest_of_made
from lrbench.runner.code.meaning import PACKAGE, digest_of, file_hash, parsed

INSTALLED = {"site-packages", "dist-packages"}

MADE = "what stands in no file"
"""Stands for a file where there is none."""

OBJECTS: MutableMapping[Handed, "Own"] = weakref.WeakKeyDictionary()
"""What networks that were handed over are made of: their weights are hashed once."""


@dataclass(frozen=True)
class Own:
    """Files by their path from the user's folder, the factory's first; and what they import from elsewhere.

    Attributes
    ----------
    files : dict
        Path -> hash of what the file does.
    libraries : frozenset of str
        By the name they are imported by.
    lrbench : frozenset of str
        What of lrbench they refer to, as "module:name" or "module".
    read : mapping
        File -> when it was last edited before it was read, and its hash.
    """

    files: dict[str, str]
    libraries: frozenset[str] = frozenset()
    lrbench: frozenset[str] = frozenset()
    read: Mapping[Path, tuple[int, str]] = field(default_factory=dict)

    def require_as_imported(self) -> None:
        """Refuse files that were edited after this process read them: what it runs is the code that there was.

        Raises
        ------
        UsageError
            With the first such file.
        """
        for file, (when, digest) in self.read.items():
            if _edited(file) != when and digest_of([parsed.__wrapped__(file)]) != digest:
                msg = f"{file} was edited after this process had imported it; start Python anew to have it as it is now"
                raise UsageError(msg)


def own_code(factory: Callable[..., Any], named: Path | None = None) -> Own:
    """Follow the imports of the file that a factory stands in, as far as they lead to files of its folder.

    Of an installed package, only its own modules are followed; others count as libraries, by version. Of a network that
    was handed over, its classes are followed, and all that it holds counts by its content.
    """
    if isinstance(factory, Handed):
        if factory not in OBJECTS:
            OBJECTS[factory] = _code_of_object(factory.network)
        return OBJECTS[factory]
    return _own_code(factory, named)


@functools.cache
def _own_code(factory: Callable[..., Any], named: Path | None = None) -> Own:
    if named is not None and named.suffix == ".onnx":
        return _own_graph(named)
    # Where it is named, it may be made of what stands elsewhere: `net = partial(build, width=8)`.
    file = named or _file_of(factory)
    if named is None and (getattr(factory, "__module__", "") or "").partition(".")[0] == PACKAGE.name:
        return Own({})
    # No file says what a cell of a notebook does, nor what a function was made with.
    made = {MADE: digest_of_made(factory)} if named is None and (file is None or _is_made(factory)) else {}
    if file is None:
        return Own(made)
    root = file.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    top = file.relative_to(root).parts[0].removesuffix(".py") if root.name in INSTALLED else None
    files: dict[Path, str] = {}
    outside: list[Import] = []
    waiting = [file]
    while waiting:
        each = waiting.pop()
        if each in files:
            continue
        files[each] = digest_of([parsed(each)])
        for found in refers(parsed(each)).imports:
            beside = list(_beside(found, each, root)) or list(_loose(found))
            inside = beside and (
                top is None
                or not beside[0].is_relative_to(root)
                or beside[0].relative_to(root).parts[0].removesuffix(".py") == top
            )
            waiting += beside if inside else []
            outside += [] if inside or found.level else [found]
    tops = {found.module.partition(".")[0] for found in outside} - sys.stdlib_module_names
    names = [found for found in outside if found.module.partition(".")[0] == PACKAGE.name]
    return Own(
        {_relative(path, root): digest for path, digest in files.items()} | made,
        frozenset(tops - {PACKAGE.name}),
        frozenset(found.module + (f":{found.name}" if found.name else "") for found in names if found.module),
        {path: (_edited(path), digest) for path, digest in files.items()},
    )


def _edited(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _code_of_object(network: Any) -> Own:  # noqa: ANN401
    """Give what a network is made of: all that it holds, and the files and libraries of its classes."""
    parts = [type(each) for each in network.modules()] if isinstance(network, nn.Module) else [network]
    files, libraries, lrbench = {MADE: digest_of_made(network)}, set[str](), set[str]()
    # By identity: what compares by its content may have no hash.
    for part in {id(part): part for part in parts}.values():
        file, package = _file_of(part), (getattr(part, "__module__", "") or "").partition(".")[0]
        if package == PACKAGE.name:
            lrbench.add(f"{part.__module__}:{part.__qualname__}")
        elif file is not None and INSTALLED & set(file.parts):
            libraries.add(package)
        elif file is not None:
            # Not kept: a function can hold a whole network.
            own = _own_code.__wrapped__(part)
            files |= {name: digest for name, digest in own.files.items() if name != MADE}
            libraries |= own.libraries
            lrbench |= own.lrbench
    return Own(files, frozenset(libraries), frozenset(lrbench))


def _is_made(factory: Callable[..., Any]) -> bool:
    called = isinstance(factory, type) and factory.__module__ in {"abc", "types", "dataclasses"}
    return called or isinstance(factory, functools.partial) or "<locals>" in getattr(factory, "__qualname__", "")


def _own_graph(file: Path) -> Own:
    """Give the content of a network's file, and of those that hold its weights."""
    hashes = {path.name: file_hash(str(path)) for path in files_of(file)}
    return Own(hashes, frozenset({"onnx", "onnx2torch"}), frozenset({"lrbench.models.onnx_file:network_of"}))


def named_file(entry: Entry) -> Path | None:
    """Give the file in which a name with a colon, or an entry point, is looked up."""
    target = entry.target if isinstance(entry.target, str) else entry.name
    if target.endswith(".onnx"):
        return Path(target).expanduser().resolve()
    source, colon, _ = target.rpartition(":")
    if not colon:
        return None
    if source.endswith(".py"):
        file = Path(source).expanduser()
    else:
        file = Path(getattr(sys.modules.get(source), "__file__", None) or "")
    return file.resolve() if file.is_file() else None


def _file_of(factory: Callable[..., Any]) -> Path | None:
    while isinstance(factory, functools.partial):
        factory = factory.func
    try:
        found = inspect.getsourcefile(inspect.unwrap(factory))
    except (TypeError, OSError):  # an object that can be called, or a class that stands in no file
        return None if isinstance(factory, type) else _file_of(type(factory))
    file = Path(found or "")
    if _is_python_s(file):
        # A class that was made by a call says that it stands in abc.py or types.py: its methods say where they do.
        codes = (getattr(each, "__code__", None) for each in vars(factory).values())
        files = (Path(code.co_filename) for code in codes if code is not None)
        file = next((each for each in files if each.is_file() and not _is_python_s(each)), Path())
    return file.resolve() if file.is_file() else None


def _is_python_s(file: Path) -> bool:
    return file.is_relative_to(sysconfig.get_path("stdlib")) and not INSTALLED & set(file.parts)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _loose(found: Import) -> Iterator[Path]:
    """Files behind an import that no installed distribution has: without a version, their content counts."""
    top = found.module.partition(".")[0]
    if found.level or not top or top in sys.stdlib_module_names or top == PACKAGE.name or is_installed(top):
        return
    for name in (found.module, f"{found.module}.{found.name}"):
        file = Path(getattr(sys.modules.get(name), "__file__", None) or "")
        if file.is_file() and file.suffix == ".py":
            yield file.resolve()


def _beside(found: Import, file: Path, root: Path) -> Iterator[Path]:
    """Files of the user's folder that an import runs: packages on the way, the module, and a module taken from it."""
    folder = root
    if found.level:
        folder = file.parent
        for _ in range(found.level - 1):
            folder = folder.parent
    parts = found.module.split(".") if found.module else []
    for depth in range(1, len(parts) + 1):
        yield from _module_at(folder.joinpath(*parts[:depth]))
    if found.name is not None:
        yield from _module_at(folder.joinpath(*parts, found.name))
    if found.level and not parts:
        yield from _module_at(folder)


def _module_at(path: Path) -> Iterator[Path]:
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            yield file
            return
