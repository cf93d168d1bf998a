"""What another version of lrbench wrote is read as far as it is known."""

import copy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.errors import UsageError
from lrbench.suite import Suite, known_suite, read_run
from lrbench.suite.document import parse

WRITTEN = Suite.model_validate(
    {
        "name": "mine",
        "data": {"name": "digits"},
        "models": {"net": {"arch": "resnet18"}, "lr": {"arch": "resnet18", "lr_layers": {"avgpool": 5}}},
        "attacks": ["iter-fsgm", "autoattack"],
        "diagnostics": {
            "variance_ratio": {"layers": ["avgpool"]},
            "corruptions": {"families": ["fog", "snow"]},
            "embeddings": {"layer": "avgpool", "dims": ["full", 5]},
        },
        "reference": {
            "source": "the paper",
            "figures": [{"model": "net", "metric": "accuracy", "value": 0.9, "where": "table 1"}],
        },
    }
).model_dump(mode="json")


def known(content):
    return known_suite(parse(yaml.safe_dump(content, sort_keys=False), "suite.yaml"))


def changed(path, value):
    content = copy.deepcopy(WRITTEN)
    *above, last = path
    place = content
    for part in above:
        place = place[part]
    place[last] = value
    return content


def test_of_what_is_known_nothing_is_left_out():
    suite, left_out = known(WRITTEN)
    assert left_out == []
    assert suite.model_dump(mode="json") == WRITTEN


@pytest.mark.parametrize(
    "path",
    [
        ("new",),
        ("threat_model", "new"),
        ("training", "new"),
        ("low_rank", "new"),
        ("models", "lr", "lr_layers", "avgpool", "new"),
        ("diagnostics", "new"),
        ("diagnostics", "variance_ratio", "new"),
        ("diagnostics", "masking", "new"),
        ("reference", "figures", 0, "new"),
    ],
)
def test_a_key_that_is_not_known_is_left_out_and_said(path):
    suite, left_out = known(changed(path, {"some": ["thing"]}))
    assert suite.model_dump(mode="json") == WRITTEN
    (line,) = left_out
    assert line.startswith("suite.yaml, line ")
    assert "new: " in line
    assert "is unknown to this version of lrbench, or not registered here, and ignored" in line


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("diagnostics", "corruptions", "families", 1), "hail"),
        (("diagnostics", "embeddings", "dims", 0), "half"),
        (("training", "schedule"), "spiral"),
        (("low_rank", "projection"), "magic"),
        (("attacks", 0, "eps"), "all"),
    ],
)
def test_a_value_that_is_not_known_is_left_out_and_said(path, value):
    suite, left_out = known(changed(path, value))
    (line,) = left_out
    assert repr(value) in line
    assert [*suite.models] == ["net", "lr"]


def test_attacks_and_metrics_may_have_any_name():
    for path, value in ((("attacks", 0, "name"), "newest"), (("reference", "figures", 0, "metric"), "brightness")):
        assert known(changed(path, value))[1] == []


def test_of_several_things_each_is_said():
    content = changed(("training", "new"), 1)
    content["newer"] = 2
    content["diagnostics"]["newest"] = {"layers": []}
    suite, left_out = known(content)
    assert suite.model_dump(mode="json") == WRITTEN
    assert len(left_out) == 3


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("threat_model", "norm"), "l7"),
        (("threat_model", "eps"), "small"),
        (("seeds",), "many"),
        (("data",), 3),
        (("name",), None),
        (("models", "net", "arch"), 3),
        (("models", "net"), 3),
        (("models",), []),
        (("attacks", 0), 3),
        (("attacks",), 3),
        (("diagnostics",), 3),
    ],
)
def test_what_says_what_the_figures_are_of_cannot_be_left_out(path, value):
    with pytest.raises(UsageError, match=r"^suite\.yaml, line "):
        known(changed(path, value))


def refusal(content):
    try:
        known(content)
    except UsageError as error:
        return str(error)
    return ""


@settings(max_examples=60)
@given(
    keys=st.lists(st.text("abc", min_size=1, max_size=3), max_size=6),
    value=st.none() | st.integers() | st.text(max_size=4) | st.lists(st.integers(), max_size=2),
)
def test_whatever_is_added_is_read_or_refused_in_lines(keys, value):
    content = copy.deepcopy(WRITTEN)
    owners = [
        content,
        content["training"],
        content["diagnostics"],
        content["diagnostics"]["masking"],
        content["models"],
    ]
    for key, owner in zip(keys, owners, strict=False):
        owner[key] = value
    assert len(refusal(content).splitlines()) <= 3


def test_the_suite_of_a_run_is_read_so(tmp_path):
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(changed(("threat_model", "patience"), 5)))
    suite, (line,) = read_run(tmp_path)
    assert suite.name == "mine"
    assert "threat_model.patience: 5 is unknown" in line


RUN = """\
name: mine
data: {name: digits}
models: {net: {arch: resnet18}}
claims:
  - {model: net, attack: pgd, eps: 0.1}
  - {model: net, attack: pgd}
  - {model: net, attack: pgd, eps: -1}
  - {model: net, attack: pgd, eps: 0.2, zzz: 1}
"""


def test_places_are_those_of_the_document_though_entries_before_them_were_left_out():
    suite, left_out = known_suite(parse(RUN, "suite.yaml"))
    assert [claim.eps for claim in suite.claims] == [0.1, 0.2]
    said = " ".join(left_out)
    assert "line 8: claims.3.zzz" in said
    assert "line 7: claims.2.eps" in said
    assert "line 6: claims.1" in said
    with pytest.raises(UsageError, match=r"suite\.yaml, line 9: claims\.4\.model: unknown model 'nett'"):
        known_suite(parse(RUN + "  - {model: nett, attack: pgd, eps: 0.3}\n", "suite.yaml"))
