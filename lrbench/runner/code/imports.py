"""The import statements of a syntax tree, wherever they stand."""

import ast
from collections.abc import Collection, Iterable, Iterator
from functools import cache
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


class Refers(NamedTuple):
    """What a tree refers to: names, and what it imports, that for type checkers alone excepted."""

    names: frozenset[str]
    imports: tuple[Import, ...]


@cache
def refers(tree: ast.AST) -> Refers:
    """Give the names in a tree, and all imports in it."""
    nodes = list(_nodes_of(tree))
    importers = _importers(nodes)
    # Most statements import nothing, which is seen without asking what stands in what.
    some = any(isinstance(node, ast.Import | ast.ImportFrom) or _imports_by_call(node, importers) for node in nodes)
    names = frozenset(node.id for node in nodes if isinstance(node, ast.Name))
    return Refers(names, tuple(_imports_in(tree, importers)) if some else ())


def _nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """Give all nodes of a tree, as `ast.walk` in no particular order and in a third of the time."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                waiting.append(value)
            elif isinstance(value, list):
                waiting += [each for each in value if isinstance(each, ast.AST)]


def _imports_in(tree: ast.AST, importers: Collection[str]) -> Iterator[Import]:
    if isinstance(tree, ast.If) and _for_type_checkers(tree.test):
        return
    if isinstance(tree, ast.Import):
        for alias in tree.names:
            yield Import(alias.asname or alias.name.partition(".")[0], alias.name, None)
    elif isinstance(tree, ast.ImportFrom):
        for alias in tree.names:
            yield Import(alias.asname or alias.name, tree.module or "", alias.name, tree.level)
    elif _imports_by_call(tree, importers):
        assert isinstance(tree, ast.Call)  # noqa: S101
        name = tree.args[0]
        assert isinstance(name, ast.Constant)  # noqa: S101
        yield Import("", str(name.value), None)
    for child in ast.iter_child_nodes(tree):
        yield from _imports_in(child, importers)


def _for_type_checkers(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _imports_by_call(call: ast.AST, names: Collection[str]) -> bool:
    """Whether it is `importlib.import_module("...")` or `__import__("...")`, called as it is or by another name."""
    if not isinstance(call, ast.Call):
        return False
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = call.args[0] if call.args else None
    return name in names and isinstance(first, ast.Constant) and isinstance(first.value, str)


def _importers(nodes: Iterable[ast.AST]) -> set[str]:
    """Give the names by which a tree of these nodes can import by calling."""
    found = {*IMPORTERS}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname for alias in node.names if alias.name in IMPORTERS and alias.asname}
        elif isinstance(node, ast.Assign) and getattr(node.value, "attr", getattr(node.value, "id", "")) in IMPORTERS:
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found
