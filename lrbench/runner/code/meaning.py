"""Hashes of what code does, blind to comments, docstrings and layout."""

import ast
import hashlib
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from lrbench.errors import UsageError
from lrbench.files import is_file

PACKAGE = Path(__file__).resolve().parents[2]

OLD = unicodedata.ucd_3_2_0
"""Characters of Unicode 3.2, which every Python knows."""


def digest_of(nodes: Iterable[ast.Module | ast.stmt]) -> str:
    """Hash of syntax trees without docstrings, 16 hexadecimal digits; the same in every version of Python."""
    digest = hashlib.sha256()
    for node in nodes:
        digest.update(_dumped(node))
    return digest.hexdigest()[:16]


@cache
def _dumped(node: ast.AST) -> bytes:
    # As Python 3.12 writes it: later ones leave out what is empty.
    if sys.version_info >= (3, 13):
        return _escaped(ast.dump(node, show_empty=True)).encode()
    return _escaped(ast.dump(node)).encode()


def _escaped(text: str) -> str:
    """Escape characters that are younger than some Python's tables, which does so itself."""
    if text.isascii():
        return text
    return "".join(
        each if OLD.category(each) != "Cn" else each.encode("ascii", "backslashreplace").decode() for each in text
    )


def source_of(file: Path) -> str:
    """Text of a file."""
    return file.read_text("utf-8")


@cache
def parsed(file: Path) -> ast.Module:
    """Parse a file; docstrings are taken out. Of the same text it is the same tree."""
    return _tree(source_of(file))


@cache
def _tree(source: str) -> ast.Module:
    tree = ast.parse(source)
    if sys.version_info[:2] == (3, 12):
        _without_empty_ends(tree)
    for node in _with_bodies(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            _with_type_params(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return tree


def _without_empty_ends(tree: ast.Module) -> None:
    """Take out the empty text with which early releases of Python 3.12 end a format that is itself computed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = [each for each in node.values if not (isinstance(each, ast.Constant) and each.value == "")]


def _with_type_params(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """Give a definition the field that Python 3.12 added, empty: a run is resumed by another version than began it."""
    if "type_params" not in node._fields:
        vars(node).update(_fields=(*node._fields, "type_params"), type_params=[])


def _with_bodies(tree: ast.AST) -> Iterator[ast.AST]:
    """Give a tree and the statements in it, at any depth, but not what they are made of."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            value = getattr(node, name, None)
            waiting += value if isinstance(value, list) else []


@cache
def folder_version(name: str) -> str:
    """Hash of all modules of a folder of the package."""
    files = sorted((PACKAGE / name).rglob("*.py"))
    return digest_of(parsed(file) for file in files)


def file_hash(path: str) -> str:
    """SHA-256 of a user's file, such as weights.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    if not is_file(file := Path(path).expanduser()):
        msg = f"no such file: {str(path)[:200]}"
        raise UsageError(msg)
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise UsageError(msg) from error
