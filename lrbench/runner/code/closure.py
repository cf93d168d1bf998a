"""All definitions of the package that some of them lead to, and the libraries that they import."""

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from lrbench.runner.code.imports import Import
from lrbench.runner.code.meaning import PACKAGE, digest_of
from lrbench.runner.code.modules import definition_of, module

INERT = {
    "lrbench.strict": "types of what a suite says, which stands in the configuration of its steps",
    "lrbench.recipes": "what a suite says of training stands in the configuration of its steps",
    "lrbench.suite": "what a suite says stands in the configuration of its steps",
    "lrbench.catalogue": "names and summaries; what a name stands for is counted by itself",
    "lrbench.registry": "looks names up",
    "lrbench.user_code": "looks names up; the code behind them is counted by itself",
    "lrbench.options": "checks options against signatures",
    "lrbench.names": "how steps are called",
    "lrbench.errors": "messages",
    "lrbench.files": "whether a file can be read",
    "lrbench.display": "what is printed meanwhile",
    "lrbench.child_processes": "how processes begin",
    "lrbench.store": "keeps bytes as they are, under checksums",
    "lrbench.engines": "where steps are taken",
    "lrbench.leaderboard": "made of results, and made anew every time",
    "lrbench.data.sources": "images are counted by their content",
    "lrbench.data.download": "images are counted by their content",
    "lrbench.runner.kinds": "which function takes a step; that function is counted",
    "lrbench.runner.plan": "what it says of a step is the step's configuration",
    "lrbench.runner.step": "what a step is called",
    "lrbench.runner.trainings": "what it says of a step is the step's configuration",
    "lrbench.runner.code": "hashes",
}
"""Modules, with those below them, that cannot change a result, and why. Any other counts."""


@dataclass(frozen=True)
class Closure:
    """Hashes of what counts in each module, by its path in the package, and libraries by the name they import by."""

    modules: dict[str, str]
    libraries: frozenset[str]


@cache
def closure(starts: tuple[str, ...], without: frozenset[str] = frozenset()) -> Closure:
    """Follow references from some definitions.

    Parameters
    ----------
    starts : tuple of str
        "module:name", or "module" for all that a module defines.
    without : frozenset of str
        Modules that are not followed into, besides `INERT`: such as those that a model without LR-Layers never calls.
    """
    left_out = (*INERT, *without)
    reached: dict[str, set[str]] = {}
    libraries: set[str] = set()
    waiting = [
        definition_of(name, attribute or None) for name, _, attribute in (each.partition(":") for each in starts)
    ]
    while waiting:
        definition = waiting.pop()
        if (
            definition is None
            or definition.name in reached.get(definition.module, ())
            or _below(definition.module, left_out)
        ):
            continue
        found = module(definition.module)
        assert found is not None  # noqa: S101
        first = definition.module not in reached
        reached.setdefault(definition.module, set()).add(definition.name)
        for target in (*found.targets(definition.name), *(found.on_import if first else ())):
            if target.module.partition(".")[0] == PACKAGE.name:
                inside = definition_of(target.module, target.name)
                waiting.append(inside)
                libraries |= set() if inside is not None else {_library(target)}
            else:
                libraries.add(target.module.partition(".")[0])
    hashes = {_path(name): _hash(name, frozenset(names)) for name, names in sorted(reached.items())}
    return Closure(hashes, frozenset(libraries - sys.stdlib_module_names - {PACKAGE.name}))


def _library(target: Import) -> str:
    """Give the library that a name of the package comes from, where it is only passed on."""
    through = module(target.module)
    while through is not None and target.name in through.imported:
        target = through.imported[target.name]
        through = module(target.module) if target.module.partition(".")[0] == PACKAGE.name else None
    return target.module.partition(".")[0]


def _below(name: str, modules: Iterable[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in modules)


def _path(name: str) -> str:
    found = module(name)
    assert found is not None  # noqa: S101
    return found.file.relative_to(PACKAGE.parent).as_posix()


@cache
def _hash(name: str, names: frozenset[str]) -> str:
    found = module(name)
    assert found is not None  # noqa: S101
    chosen: list[ast.stmt] = [*found.always, *(each for name in names for each in found.statements(name))]
    by_line = {(each.lineno, each.col_offset): each for each in chosen}
    return digest_of(by_line[line] for line in sorted(by_line))
