"""What files of the package declare by a decorator with a name: read in their source, so that none is imported."""

import ast
import inspect
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

PACKAGE = Path(__file__).parent

C = TypeVar("C", bound=type)


def named(name: str) -> Callable[[C], C]:  # noqa: ARG001
    """Say what suites call a class: `lrbench.catalogue` finds it by this line, without running its file."""
    return lambda declared: declared


@dataclass(frozen=True)
class Declared:
    """What a class or a function says of itself where it is defined.

    Attributes
    ----------
    facts : dict
        Class attributes whose values are literals, those of its bases in the same folder among them.
    signature : inspect.Signature
        What it is called with. Defaults are values, or their source where they are no literals.
    """

    facts: dict[str, Any]
    signature: inspect.Signature


def declared_in(folder: str, decorator: str) -> dict[str, tuple[str, str, Declared]]:
    """Find what the files of a folder of the package declare.

    Parameters
    ----------
    folder : str
        Such as "attacks".
    decorator : str
        As it is written there, such as "named" for `@named("pgd")`.

    Returns
    -------
    dict
        Name -> ("module:attribute", first line of the docstring, what else it says).
    """
    found = {}
    for file in sorted((PACKAGE / folder).glob("*.py")):
        if f"@{decorator}(" not in _source(file):
            continue
        for node in _parsed(file).body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef):
                continue
            for name in _names(node, decorator):
                summary = (ast.get_docstring(node) or "").partition("\n")[0]
                says = Declared(_facts(file, node), _signature(file, node))
                found[name] = (f"{PACKAGE.name}.{folder}.{file.stem}:{node.name}", summary, says)
    return found


@cache
def _source(file: Path) -> str:
    return file.read_text("utf-8")


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(_source(file))


def _names(node: ast.ClassDef | ast.FunctionDef, decorator: str) -> Iterator[str]:
    for each in node.decorator_list:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == decorator:
            yield ast.literal_eval(each.args[0])


def _defined(file: Path, name: str) -> tuple[Path, ast.stmt] | None:
    """Find the definition of a module's name, there or in the module beside it that it is imported from."""
    for node in _parsed(file).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return file, node
        if isinstance(node, ast.Assign) and name in {ast.unparse(target) for target in node.targets}:
            return file, node
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            for each in node.names:
                if (each.asname or each.name) == name:
                    return _defined(file.with_name(f"{node.module}.py"), each.name)
    return None


def _lineage(file: Path, node: ast.ClassDef) -> Iterator[tuple[Path, ast.ClassDef]]:
    """Give a class and its bases, the nearest first."""
    yield file, node
    for base in node.bases:
        defined = _defined(file, ast.unparse(base))
        if defined is not None and isinstance(defined[1], ast.ClassDef):
            yield from _lineage(defined[0], defined[1])


def _facts(file: Path, node: ast.ClassDef | ast.FunctionDef) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _, each in _lineage(file, node) if isinstance(node, ast.ClassDef) else ():
        for statement in each.body:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
            value = getattr(statement, "value", None)
            if isinstance(target, ast.Name) and isinstance(value, ast.expr) and _is_literal(value):
                found.setdefault(target.id, ast.literal_eval(value))
    return found


def _signature(file: Path, node: ast.ClassDef | ast.FunctionDef) -> inspect.Signature:
    if isinstance(node, ast.FunctionDef):
        return inspect.Signature(list(_parameters(file, node.args)))
    made = (
        (origin, each)
        for origin, kind in _lineage(file, node)
        for each in kind.body
        if isinstance(each, ast.FunctionDef) and each.name == "__init__"
    )
    for origin, each in made:
        _, *parameters = _parameters(origin, each.args)
        return inspect.Signature(parameters)
    return inspect.Signature()


def _parameters(file: Path, given: ast.arguments) -> Iterator[inspect.Parameter]:
    plain = [None] * (len(given.args) - len(given.defaults))
    for kind, pairs in (
        (inspect.Parameter.POSITIONAL_OR_KEYWORD, zip(given.args, [*plain, *given.defaults], strict=True)),
        (inspect.Parameter.KEYWORD_ONLY, zip(given.kwonlyargs, given.kw_defaults, strict=True)),
    ):
        for each, default in pairs:
            value: Any = inspect.Parameter.empty
            if default is not None:
                value = ast.literal_eval(default) if _is_literal(default) else ast.unparse(default)
            yield inspect.Parameter(each.arg, kind, default=value, annotation=_annotation(file, each.annotation))


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _annotation(file: Path, node: ast.expr | None) -> Any:  # noqa: ANN401
    """Give a choice as `Literal[...]`, and any other annotation as its source."""
    if node is None:
        return inspect.Parameter.empty
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
        return operator.getitem(Literal, ast.literal_eval(node.slice))
    defined = _defined(file, node.id) if isinstance(node, ast.Name) else None
    if defined is not None and isinstance(defined[1], ast.Assign):
        return _annotation(defined[0], defined[1].value)
    return ast.unparse(node)
