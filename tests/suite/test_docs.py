"""The docs against the code: every key of a suite, every attack and every check is there as it is."""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import lrbench
from lrbench import attacks, diagnostics, lowrank, statistics
from lrbench.catalogue import ATTACKS
from lrbench.diagnostics.masking import CHECKS
from lrbench.suite import measures, schema, shipped_suites, training

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "suite.md").read_text("utf-8")
RECORDS = {
    record
    for module in (measures, schema, training)
    for record in vars(module).values()
    if isinstance(record, type) and issubclass(record, BaseModel) and record.__module__ == module.__name__
}


@pytest.mark.parametrize("record", sorted(RECORDS, key=lambda record: record.__name__), ids=lambda r: r.__name__)
def test_every_key_is_described(record):
    for name in record.model_fields:
        assert re.search(rf"(`|^|## .*){name}(`|:|\b)", DOCS, re.MULTILINE), name


@pytest.mark.parametrize("record", [training.Training, training.LowRank])
def test_the_stated_defaults_are_the_schema_s(record):
    rows = re.findall(r"^\| (`[a-z_0-9`, ]+`) \| ([^|]+) \|", DOCS, re.MULTILINE)
    stated = {}
    for names, defaults in rows:
        keys, values = re.findall(r"`([a-z_0-9]+)`", names), [value.strip(" `") for value in defaults.split(",")]
        if len(keys) == len(values):
            stated.update(zip(keys, values, strict=True))
    checked = 0
    for name, field in record.model_fields.items():
        if isinstance(field.default, bool | str | int | float) and name in stated:
            expected = str(field.default).lower() if isinstance(field.default, bool) else field.default
            found = stated[name]
            assert found == expected or float(found) == pytest.approx(float(expected)), name
            checked += 1
    assert checked >= 6


def test_every_check_is_described():
    robustness = (ROOT / "docs" / "robustness.md").read_text("utf-8")
    for check in CHECKS.values():
        assert f"| `{check.id}` | {check.severity} | {check.condition} | {check.advice} |" in robustness


@pytest.mark.parametrize("entry", [each for each in ATTACKS if each.declared], ids=lambda each: each.name)
def test_every_attack_is_described_with_all_its_options_where_it_is_defined(entry):
    attack = entry.load()
    assert entry.summary == attack.__doc__.partition("\n")[0]
    assert 20 < len(entry.summary) <= 120
    documented = " ".join(
        each.__doc__ or "" for each in attack.__mro__ if each.__module__.startswith("lrbench.attacks.")
    )
    parameters = documented.partition("Parameters\n")[2]
    assert set(entry.signature.parameters) == set(inspect.signature(attack).parameters)
    for name, parameter in inspect.signature(attack).parameters.items():
        assert re.search(rf"\b{name}\b", parameters), name
        assert entry.signature.parameters[name].default == parameter.default


@pytest.mark.parametrize("path", ["docs/robustness.md", "docs/suite.md"])
def test_what_docs_call_an_attack_there_is(path):
    text = (ROOT / path).read_text("utf-8").partition("## Attacks" if "robustness" in path else "## threat_model")[2]
    named = re.findall(r"`((?:[a-z]+-)+(?:fsgm|noise|lr|ce|t))`", text)
    assert named
    assert all(name in ATTACKS for name in named), named


@pytest.mark.parametrize("module", [lrbench, attacks, lowrank, diagnostics, statistics], ids=lambda each: each.__name__)
def test_every_public_name_is_on_the_page_of_the_api(module):
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    page = set(re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)) | set(re.findall(r"`(lrbench\.\w+)`", text))
    assert {f"{module.__name__}.{name}" for name in module.__all__} <= page


README = (ROOT / "README.md").read_text("utf-8")
TOUR = json.loads((ROOT / "docs" / "tour.ipynb").read_text("utf-8"))


def printed_in_the_tour():
    outputs = [each for cell in TOUR["cells"] for each in cell.get("outputs", []) if each["output_type"] == "stream"]
    return "".join(line for each in outputs for line in each["text"]).strip("\n")


def test_the_first_screen_of_the_readme():
    lines = README.splitlines()
    (start,) = [number for number, line in enumerate(lines, 1) if line.startswith("Read on: [")]
    assert start <= 60
    first = "\n".join(lines[:start])
    assert "lrbench.evaluate(" in first
    assert "make run" in first
    assert "![" in first


def test_the_boards_in_the_readme_are_those_that_are_printed():
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    printed = [block.strip("\n") for language, block in fences if not language]
    assert printed == [printed_in_the_tour(), str(lrbench.Leaderboard.load(ROOT / "leaderboards" / "quick"))]


def words(text):
    """What does not depend on how a version of torch adds up."""
    return re.findall(r"[a-z_]+", text)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_tour_runs_and_shows_what_it_holds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace, shown = {"__name__": "__main__"}, {}
    for cell in TOUR["cells"]:
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]))
            values = [each["data"] for each in cell["outputs"] if each["output_type"] == "execute_result"]
            last = ast.Expression(tree.body.pop().value) if values else None
            exec(compile(tree, "tour", "exec"), namespace)  # noqa: S102
            if last is not None:
                shown[ast.unparse(last)] = eval(compile(last, "tour", "eval"), namespace)  # noqa: S307
                assert words(repr(shown[ast.unparse(last)])) == words("".join(values[0]["text/plain"]))
    assert len(shown) == 3
    assert words(capsys.readouterr().out) == words(printed_in_the_tour())


@pytest.mark.parametrize("name", [name for name in shipped_suites() if "/" not in name])
def test_the_readme_names_every_shipped_suite(name):
    assert f"`{name}`" in README
