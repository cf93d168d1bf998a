"""The measures that come with lrbench, as the registry knows them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_origin

import pytest
from pydantic import ValidationError

import lrbench
from lrbench.catalogue import MEASURES
from lrbench.cli import main
from lrbench.leaderboard import tidy
from lrbench.leaderboard.charts import charts
from lrbench.leaderboard.render import to_markdown
from lrbench.measures import dimensions, layer_options, named_layers
from lrbench.measures.registry import is_own, measure_of
from lrbench.suite import Suite


def said(name):
    """What of a measure's options has to be said, with a value that fits."""
    options = measure_of(name).Options
    given = {}
    for option, field in options.model_fields.items():
        if field.is_required():
            several = ["a", "b"] if option in layer_options(options) else [3, 2]
            given[option] = several if get_origin(field.annotation) is list else several[0]
    return given


SAID = {entry.name: said(entry.name) for entry in MEASURES}


def test_every_one_of_them_is_read_with_its_own_options():
    assert len(SAID) > 6
    raw = {"name": "all", "data": "digits", "models": {"net": {"arch": "resnet18"}}, "diagnostics": SAID}
    suite = Suite.model_validate(raw)
    assert list(suite.diagnostics.measures) == list(SAID)
    for name, options in suite.diagnostics.measures.items():
        assert type(options) is measure_of(name).Options
        assert options.model_dump(mode="json", exclude_unset=True) == SAID[name]
        assert (name in suite.diagnostics.of_layers) == bool(layer_options(type(options)))
    assert list(named_layers(suite.diagnostics.measures["variance_ratio"])) == [("layers", "a"), ("layers", "b")]
    assert Suite.model_validate_json(suite.model_dump_json()) == suite
    assert Suite.model_validate(suite.model_dump(mode="json")) == suite


def test_a_measure_that_is_not_asked_for_leaves_no_trace(monkeypatch):
    """Another process, which does not know it, reads the suite."""
    raw = {"name": "all", "data": "digits", "models": {"net": {"arch": "resnet18"}}, "diagnostics": {}}
    plain = Suite.model_validate(raw).model_dump_json()
    with monkeypatch.context() as here:
        here.setattr(MEASURES, "_entries", dict(MEASURES._entries))
        lrbench.register_measure("brightness")(type("Brightness", (lrbench.Measure,), {"take": lambda *_: []}))
        assert Suite.model_validate(raw).model_dump_json() == plain
        asked = Suite.model_validate({**raw, "diagnostics": {"brightness": {}}}).model_dump_json()
    assert Suite.model_validate_json(plain).diagnostics.measures == {}
    with pytest.raises(ValidationError, match="unknown key"):
        Suite.model_validate_json(asked)


def test_dimensions_are_those_of_a_layer_that_is_named():
    for entry in MEASURES:
        options = measure_of(entry.name).Options
        for within in dimensions(options).values():
            assert within.layer in layer_options(options)


def test_the_list_has_every_option_with_its_default(capsys):
    assert main(["measures"]) == 0
    said = capsys.readouterr().out
    # Other tests may have registered their own.
    ours = [entry for entry in MEASURES if not is_own(entry.name)]
    for entry in ours:
        line = re.search(rf"^{entry.name} .*$", said, re.MULTILINE)[0]
        assert entry.summary.rstrip(".") in line
        for option in measure_of(entry.name).Options.model_fields:
            assert option in line.partition("options: ")[2]
    page = (Path(__file__).parents[2] / "docs/suite.md").read_text("utf-8")
    for entry in ours:
        row = re.search(rf"^\| `{entry.name}` \| {{(.*)$", page, re.MULTILINE)[1]
        assert all(f"`{option}`" in row for option in measure_of(entry.name).Options.model_fields)


@pytest.mark.parametrize(
    "code", ["import lrbench.measures", "from lrbench.suite import load_suite; load_suite('quick')"]
)
def test_reading_what_a_suite_asks_for_loads_no_torch(code):
    heavy = "{'torch', 'sklearn', 'scipy'}"
    subprocess.run([sys.executable, "-c", f"import sys; {code}; assert not {heavy} & set(sys.modules)"], check=True)


def test_the_runner_knows_no_measure_by_name():
    root = Path(__file__).parents[2] / "lrbench"
    names = [entry.name for entry in MEASURES]
    for path in sorted((root / "runner").rglob("*.py")):
        text = path.read_text("utf-8")
        found = [name for name in names if re.search(rf"[\"'.]{name}\b(?!\.py)", text)]
        assert not found, f"{path}: {found}"


@pytest.mark.parametrize("name", SAID)
def test_a_run_in_which_it_is_not_taken_yet_is_shown(name):
    claims = {"claims": [{"model": "net", "attack": "pgd", "eps": "8/255"}]} if name == "audit" else {}
    raw = {"name": "cut", "data": "digits", "models": {"net": {"arch": "resnet18"}}, "attacks": ["pgd"], **claims}
    suite = Suite.model_validate({**raw, "diagnostics": {name: SAID[name]}}).model_dump(mode="json")
    accuracy = {"model": "net", "seed": 0, "metric": "accuracy", "value": 0.9, "ci_low": 0.8, "ci_high": 0.95, "n": 90}
    board = lrbench.Leaderboard(tidy([accuracy]), suite)
    assert "90.0" in to_markdown(board)
    assert [chart.name for chart in charts(board.shown, suite)] == []
