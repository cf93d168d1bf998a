"""The version of the code behind a step: a hash of what it does, blind to comments, docstrings and layout."""

import ast
import hashlib
import inspect
from functools import cache
from pathlib import Path

from lrbench.errors import UsageError
from lrbench.files import is_file
from lrbench.registry import Entry

PACKAGE = Path(__file__).resolve().parent.parent


@cache
def code_version(*places: str) -> str:
    """Hash of all modules below the given places of the package, such as "models" or "runner/steps.py"."""
    digest = hashlib.sha256()
    for place in sorted(places):
        path = PACKAGE / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{place}/{file.name}\0{_meaning(file)}".encode())
    return digest.hexdigest()[:16]


def factory_version(entry: Entry) -> str:
    """Hash of the file that a user's factory stands in; empty for lrbench's own, which `code_version` covers."""
    if isinstance(entry.target, str) and entry.target.startswith("lrbench."):
        return ""
    factory = entry.load()
    try:
        file = Path(inspect.getsourcefile(inspect.unwrap(factory)) or "")
    except TypeError:
        return ""
    if not file.is_file() or PACKAGE in file.resolve().parents:
        return ""
    return hashlib.sha256(_meaning(file).encode()).hexdigest()[:16]


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


@cache
def _meaning(file: Path) -> str:
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return ast.dump(tree)
