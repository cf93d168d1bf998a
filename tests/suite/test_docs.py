"""The docs against the code: every key of a suite, every attack and every check is there as it is."""

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


def test_every_check_and_every_attack_is_described():
    robustness = (ROOT / "docs" / "robustness.md").read_text("utf-8")
    for check in CHECKS.values():
        assert f"| `{check.id}` | {check.severity} | {check.condition} | {check.advice} |" in robustness
    for entry in ATTACKS:
        assert f"`{entry.name}`" in robustness, entry.name
