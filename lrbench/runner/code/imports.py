"""The import statements of a syntax tree, wherever they stand."""

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple


class Import(NamedTuple):
    """A name that code binds by importing: of a module (`name` is None), or something in one.

    `level` counts the dots of a relative import.
    """

    local: str
    module: str
    name: str | None
    level: int = 0


IMPORTERS = ("import_module", "__import__")


def imports_in(tree: ast.AST) -> Iterator[Import]:
    """Give all imports in a tree, those for type checkers alone excepted."""
    return _imports_in(tree, _importers(tree))


def _imports_in(tree: ast.AST, importers: Collection[str]) -> Iterator[Import]:
    if isinstance(tree, ast.If) and _for_type_checkers(tree.test):
        return
    if isinstance(tree, ast.Import):
        for alias in tree.names:
            yield Import(alias.asname or alias.name.partition(".")[0], alias.name, None)
    elif isinstance(tree, ast.ImportFrom):
        for alias in tree.names:
            yield Import(alias.asname or alias.name, tree.module or "", alias.name, tree.level)
    elif isinstance(tree, ast.Call) and _imports_by_call(tree, importers):
        name = tree.args[0]
        assert isinstance(name, ast.Constant)  # noqa: S101
        yield Import("", str(name.value), None)
    for child in ast.iter_child_nodes(tree):
        yield from _imports_in(child, importers)


def _for_type_checkers(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _imports_by_call(call: ast.Call, names: Collection[str]) -> bool:
    """Whether it is `importlib.import_module("...")` or `__import__("...")`, called as it is or by another name."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = call.args[0] if call.args else None
    return name in names and isinstance(first, ast.Constant) and isinstance(first.value, str)


def _importers(tree: ast.AST) -> set[str]:
    """Give the names by which a tree can import by calling."""
    renamed = (alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
               if alias.name in IMPORTERS and alias.asname)  # fmt: skip
    assigned = (
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.value, "attr", getattr(node.value, "id", "")) in IMPORTERS
        for target in node.targets
        if isinstance(target, ast.Name)
    )
    return {*IMPORTERS, *renamed, *assigned}
