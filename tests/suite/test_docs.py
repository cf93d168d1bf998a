"""The docs against the code: every key of a suite, every attack and every check is there as it is."""

import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from lrbench.catalogue import ATTACKS
from lrbench.diagnostics.masking import CHECKS
from lrbench.suite import measures, schema, training

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
