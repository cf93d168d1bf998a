"""What is read of files that declare something, without running them."""

import inspect
from typing import Literal

import pytest

from lrbench import declared
from lrbench.errors import UsageError
from lrbench.registry import Registry

BASE = """\
raise RuntimeError("nobody runs this")

Precision = Literal["low", "high"]
STRONG = 3

class Base:
    \"\"\"Not declared.\"\"\"

    weak: bool = False
    kind = "plain"
    strength = STRONG

    def __init__(self, eps, steps: int = 10, *, size=STRONG, precision: Precision = "low", **rest) -> None:
        self.eps = eps
"""

FILE = """\
from .base import Base, Precision as P

@named("first")
class First(Base):
    \"\"\"The first.

    And more of it.
    \"\"\"

    weak = True

@other
@named("second")
class Second(First):
    kind = "other"

    def __init__(self, precision: P = "high", choice: Literal["a"] = "a") -> None:
        pass

@named("third")
def third(root, *, path: str, size: int | None = None):
    \"\"\"A function.\"\"\"

class Fourth(First):
    pass
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "pack/things"
    folder.mkdir(parents=True)
    (folder / "base.py").write_text(BASE)
    (folder / "file.py").write_text(FILE)
    monkeypatch.setattr(declared, "PACKAGE", tmp_path / "pack")
    return folder


@pytest.fixture
def found(package):  # noqa: ARG001
    return declared.declared_in("things", "named")


def test_what_is_declared_is_found_with_its_first_line(found):
    assert {name: each[:2] for name, each in found.items()} == {
        "first": ("pack.things.file:First", "The first."),
        "second": ("pack.things.file:Second", ""),
        "third": ("pack.things.file:third", "A function."),
    }


def test_class_attributes_are_inherited_and_only_literals_count(found):
    facts = {name: each[2].facts for name, each in found.items()}
    assert facts["first"] == {"weak": True, "kind": "plain"}
    assert facts["second"] == {"weak": True, "kind": "other"}
    assert facts["third"] == {}


def test_signatures_are_those_of_the_nearest_constructor(found):
    first, second, third = (found[name][2].signature.parameters for name in ("first", "second", "third"))
    assert {name: each.default for name, each in first.items()} == {
        "eps": inspect.Parameter.empty, "steps": 10, "size": "STRONG", "precision": "low"
    }  # fmt: skip
    assert first["precision"].annotation == Literal["low", "high"]
    assert second["precision"].annotation == Literal["low", "high"]
    assert second["choice"].annotation == Literal["a"]
    assert list(second) == ["precision", "choice"]
    assert third["path"].default is inspect.Parameter.empty
    assert third["size"].annotation == "int | None"


def test_a_declared_name_is_taken_for_all_but_what_declares_it(package):  # noqa: ARG001
    registry = Registry("thing", declared=("things", "named"))

    def third():
        pass

    with pytest.raises(UsageError, match="the thing name 'third' is taken already"):
        registry.register("third")(third)
    third.__module__, third.__qualname__ = "pack.things.file", "third"
    assert registry.register("third")(third) is third
    assert registry["third"].target == "pack.things.file:third", "it stays one of the package's own"
    assert registry["third"].says("weak", otherwise="unsaid") == "unsaid"


def test_what_somebody_registers_says_of_itself():
    registry = Registry("thing")

    @registry.register("mine")
    class Mine:
        """Mine."""

        weak = True

        def __init__(self, eps, depth=3):
            pass

    entry = registry["mine"]
    assert entry.load() is Mine
    assert entry.says("weak", otherwise=False)
    assert list(entry.signature.parameters) == ["eps", "depth"]
    registry.register("odd")(dict.fromkeys)
    assert not registry["odd"].says("weak", otherwise=False)
