"""How the house is laid out: imports point downwards, none in a circle, and no file is long."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from lrbench.catalogue import MEASURES

ROOT = Path(__file__).parents[1]
LONGEST = 250

ROOMS = [
    {"__main__"},
    {"cli", "evaluation"},
    {"display"},
    {"runner"},
    {"leaderboard", "training", "engines", "store"},
    {"suite"},
    {"regularizers"},
    {"measures"},
    {"diagnostics"},
    {"models", "data"},
    {"attacks", "lowrank", "statistics", "views"},
    {"catalogue", "recipes"},
    {"supplied"},
    {"registry", "strict", "options", "user_code"},
    {"columns", "declared", "files", "names", "renamed", "child_processes", "global_state", "verdicts"},
    {"errors"},
]
"""Highest first. Of a floor, rooms may not import each other, but for those below."""

BESIDE = {("leaderboard", "store")}
ANYBODY = {"__init__"}


def modules():
    """Name -> file, of the package; attacks through their link."""
    files = [*(ROOT / "lrbench").rglob("*.py"), *(ROOT / "lrbench/attacks").glob("*.py")]
    names = {}
    for file in sorted(set(files)):
        parts = file.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


MODULES = modules()


def imports(name):
    """Modules of the package that a module imports when it is imported."""
    file = MODULES[name]
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    waiting, found = [ast.parse(file.read_text("utf-8"))], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
                base = f"{above}.{base}".rstrip(".")
            found |= {each if each in MODULES else base for alias in node.names for each in [f"{base}.{alias.name}"]}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return {each for each in found if each in MODULES and each != name}


def room(name):
    return name.split(".")[1] if "." in name else "__init__"


FLOOR = {each: floor for floor, rooms in enumerate(ROOMS) for each in rooms}


def test_every_room_has_a_floor():
    rooms = {room(name) for name in MODULES} - ANYBODY - {"suites"}
    assert rooms == set(FLOOR)
    assert len(MODULES) > 200


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_downwards(name):
    for each in imports(name):
        here, there = room(name), room(each)
        if here == there or there in ANYBODY or here in ANYBODY | {"suites"} or (here, there) in BESIDE:
            continue
        assert FLOOR[here] < FLOOR[there], f"{name} imports {each}"


def test_no_imports_go_in_a_circle():
    # A package's own `__init__` is imported with each of its modules, and imports them.
    graph = {name: {each for each in imports(name) if not name.startswith(f"{each}.")} for name in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_no_file_is_long(name):
    assert len(MODULES[name].read_text("utf-8").splitlines()) <= LONGEST


def test_who_runs_reads_and_shows_suites_knows_no_measure_by_name():
    names = {entry.name for entry in MEASURES}
    assert len(names) > 6
    for name in MODULES:
        if room(name) in {"runner", "suite", "leaderboard"}:
            assert not names & set(words(ast.parse(MODULES[name].read_text("utf-8")))), name


def words(tree):
    """Whatever code names: variables, attributes, keywords, imports, and texts that are a name or begin with one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.split(r"[\[:/-]", node.value)[0]
        for field in ("id", "attr", "arg", "name"):
            if isinstance(found := getattr(node, field, None), str):
                yield from found.split(".")


def test_attacks_and_low_rank_know_nothing_of_the_project():
    for name in MODULES:
        if room(name) in {"attacks", "lowrank"}:
            assert {room(each) for each in imports(name)} <= {room(name)}
