"""A module of the package as its top-level definitions, and what each of them refers to."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from lrbench.runner.code.imports import Import, refers
from lrbench.runner.code.meaning import PACKAGE, parsed

WHOLE = "*"

SHOWING = frozenset({"figures", "summary", "tables", "charts", "notes"})
"""What measures are shown by, anew every time, from results."""


class Definition(NamedTuple):
    """A top-level definition of a module; all of them for `WHOLE`."""

    module: str
    name: str


class Module:
    """A module's top-level statements by the names that they define.

    Attributes
    ----------
    name : str
        Such as "lrbench.runner.context".
    file : Path
    defined : dict
        Name -> statements that define it.
    imported : dict
        Name -> import that binds it.
    always : list
        Statements that define nothing: they run with the import.
    """

    def __init__(self, name: str, file: Path) -> None:
        self.name, self.file = name, file
        self.defined: dict[str, list[ast.stmt]] = {}
        self.imported: dict[str, Import] = {}
        self.always: list[ast.stmt] = []
        self._targets: dict[str, frozenset[Import]] = {}
        self._tree = parsed(file)
        for statement in map(_without_showing, self._tree.body):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self.imported |= {each.local: self._absolute(each) for each in refers(statement).imports}
                continue
            names = list(_names_defined(statement))
            for each in names:
                self.defined.setdefault(each, []).append(statement)
            if not names:
                self.imported |= {each.local: self._absolute(each) for each in refers(statement).imports}
                self.always.append(statement)

    def _absolute(self, found: Import) -> Import:
        if not found.level:
            return found
        package = self.name if self.file.name == "__init__.py" else self.name.rpartition(".")[0]
        for _ in range(found.level - 1):
            package = package.rpartition(".")[0]
        return found._replace(module=f"{package}.{found.module}".rstrip("."), level=0)

    def statements(self, name: str) -> list[ast.stmt]:
        """Give the statements behind a name; all of them for `WHOLE`."""
        if name == WHOLE:
            return [each for statements in self.defined.values() for each in statements]
        return self.defined.get(name, [])

    def targets(self, name: str) -> frozenset[Import]:
        """Give what the statements behind a name refer to; a whole module's also what it passes on."""
        if name not in self._targets:
            found = frozenset(self._referred(self.statements(name)))
            self._targets[name] = found | (frozenset(self.imported.values()) if name == WHOLE else frozenset())
        return self._targets[name]

    @cached_property
    def on_import(self) -> frozenset[Import]:
        """What importing the module runs.

        Imports that nothing in it refers to are there for what importing them does; those of a package are re-exports.
        """
        found = frozenset(self._referred(self.always))
        if self.file.name == "__init__.py":
            return found
        used = {name for statement in self._tree.body for name in refers(statement).names}
        return found | {each for local, each in self.imported.items() if local not in used}

    def _referred(self, statements: Iterable[ast.stmt]) -> Iterator[Import]:
        for statement in statements:
            for name in refers(statement).names:
                if name in self.imported:
                    yield self.imported[name]
                elif name in self.defined:
                    yield Import(name, self.name, name)
            for found in refers(statement).imports:
                yield self._absolute(found)


@cache
def _without_showing(statement: ast.stmt) -> ast.stmt:
    """Leave out of a measure's class how it is shown, which changes no result unless the rest of it asks for that."""
    if not (isinstance(statement, ast.ClassDef) and _is_measure(statement)):
        return statement
    left_out, counted = SHOWING, statement.body
    while True:
        counted = [each for each in statement.body if left_out.isdisjoint(_names_defined(each))]
        asked = {node.attr for each in counted for node in ast.walk(each) if isinstance(node, ast.Attribute)}
        if left_out.isdisjoint(asked):
            break
        left_out -= asked
    rest = ast.ClassDef(statement.name, statement.bases, statement.keywords, counted, statement.decorator_list)
    generic = getattr(statement, "type_params", [])
    # Python 3.13 puts the field there, empty or not; 3.11 has none.
    fields = [name for name in rest._fields if name != "type_params"] + ["type_params"] * bool(generic)
    vars(rest).update(_fields=tuple(fields), type_params=generic)
    return ast.copy_location(rest, statement)


def _is_measure(kind: ast.ClassDef) -> bool:
    return any(name.endswith("Measure") for name in (kind.name, *map(ast.unparse, kind.bases)))


def _names_defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from sorted(refers(target).names)


@cache
def module(name: str) -> Module | None:
    """Read a module of the package; None if there is none of that name."""
    *parents, last = name.split(".")[1:] or [""]
    folder = PACKAGE.joinpath(*parents)
    for file in (folder / last / "__init__.py", folder / f"{last}.py"):
        if last and file.is_file():
            return Module(name, file)
    return Module(name, PACKAGE / "__init__.py") if name == PACKAGE.name else None


@cache
def definition_of(target: str, name: str | None) -> Definition | None:
    """Give what a module of the package calls `name`; None if it is defined in no module of it."""
    if name is not None and module(f"{target}.{name}") is not None:
        return Definition(f"{target}.{name}", WHOLE)
    found = module(target)
    if found is None:
        return None
    if name is None or name in found.defined:
        return Definition(target, name or WHOLE)
    if name in found.imported:
        through = found.imported[name]
        inside = through.module.partition(".")[0] == PACKAGE.name
        return definition_of(through.module, through.name) if inside else None
    return Definition(target, "__getattr__" if "__getattr__" in found.defined else WHOLE)
