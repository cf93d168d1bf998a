"""Suites that are malformed by accident or on purpose: a line that says so, at once, and nothing written."""

import copy

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.hostile import frugal, refused, watched

from lrbench.cli import main

GOOD = {
    "name": "tiny",
    "data": {"name": "digits", "train": 100, "test": 40},
    "models": {"net": {"arch": "resnet18", "width": 4}, "lr": {"extends": "net", "lr_layers": {"avgpool": 5}}},
    "training": {"epochs": 1, "batch_size": 50},
    "threat_model": {"eps": [0.03], "samples": 20},
    "attacks": ["iter-fsgm", {"name": "pgd", "steps": 3}],
    "diagnostics": {
        "variance_ratio": {"layers": ["avgpool"], "k": [10]}, "embeddings": {"layer": "avgpool", "dims": [8]}},
}  # fmt: skip
TEXT = yaml.safe_dump(GOOD, sort_keys=False)


def changed(path, value):
    suite = copy.deepcopy(GOOD)
    place = suite
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return yaml.safe_dump(suite, sort_keys=False)


BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
)
CHAIN = {f"m{i}": {"extends": f"m{i + 1}"} for i in range(500)} | {"m500": {"arch": "resnet18"}}

HOSTILE = {
    # The text itself.
    "empty": ("", "the suite is empty"),
    "only a comment": ("# nothing\n", "the suite is empty"),
    "a scalar": ("suite", "a suite is a mapping"),
    "a list": ("- 1\n- 2\n", "a suite is a mapping"),
    "two documents": (TEXT + "---\n" + TEXT, "not valid YAML"),
    "binary": (bytes(range(256)), "not UTF-8"),
    "UTF-16": (TEXT.encode("utf-16"), "not UTF-8"),
    "no bool": ("name: !!bool maybe\n", "not valid YAML: a value is not what its tag"),
    "no int": ("name: !!int ''\n", "not valid YAML: a value is not what its tag"),
    "no key": ("? !!float ''\n: 1\n", "not valid YAML: a value is not what its tag"),
    "a zip": (b"PK\x03\x04" + bytes(100), "not valid YAML"),
    "NUL": ("name: a\0b", "not valid YAML"),
    "escaped NUL": ('name: "a\\0b"', "control characters"),
    "escaped terminal codes": ('"\\e[31mname": 1', "control characters"),
    "a surrogate": ('name: "\\ud800"', "control characters"),
    "a line that overrides direction": (changed(["models"], {"a\u202eb": {"arch": "resnet18"}}), "models"),
    "tabs": ("name:\n\t- a", "not valid YAML"),
    "an unclosed bracket": ("name: [", "not valid YAML"),
    "an alias": ("name: &a x\ndata: *a\n", "aliases"),
    "a billion laughs": (BOMB, "aliases"),
    "an alias of itself": ("a: &a [*a]", "aliases"),
    "a merge key": ("a: &a {b: 1}\nc: {<<: *a}", "aliases"),
    "an object": ("name: !!python/object/apply:os.system ['touch hacked']", "is not allowed"),
    "a module": ("name: !!python/module:os", "is not allowed"),
    "an unknown tag": ("name: !secret x", "is not allowed"),
    "binary data": ("name: !!binary aGFsbG8=", "is not allowed"),
    "deep nesting": ("name: " + "[" * 2000 + "]" * 2000, "nested too deep"),
    "deep mappings": ("".join(f"{' ' * i}a:\n" for i in range(400)), "nested too deep"),
    "too many values": ("seeds: [" + "1," * 50_000 + "1]", "at most 20,000 values"),
    "too long a value": ("name: " + "x" * 10_000, "10,000 characters"),
    "too large a file": ("# " + "x" * 300_000 + "\n" + TEXT, "larger than"),
    "a number of many digits": ("seeds: [0x" + "f" * 1990 + "]\n" + TEXT, "seeds"),
    "a sexagesimal bomb": ("seeds: [1" + ":59" * 600 + ".5]", "not valid YAML"),
    "an impossible date": ("name: 2001-99-99", "is not allowed"),
    "a date": (TEXT.replace("width: 4", "width: 2001-01-01"), "'timestamp' is not allowed"),
    "a duplicate key": (TEXT + "name: again\n", "stands there twice"),
    "a duplicate model": (TEXT.replace("  lr:", "  net: {}\n  lr:"), "stands there twice"),
    "a list as key": ("? [a, b]\n: 1\n", "not valid YAML"),
    # Wrong values.
    "null": (changed(["models"], None), "models"),
    "no models": (changed(["models"], {}), "models"),
    "a model that is a list": (changed(["models", "net"], []), "models.net"),
    "a number as model name": (changed(["models"], {3: {"arch": "resnet18"}}), "models"),
    "NaN": (changed(["training", "learning_rate"], float("nan")), "training.learning_rate"),
    "infinity": (changed(["training", "weight_decay"], float("inf")), "training.weight_decay"),
    "NaN as eps": (changed(["threat_model", "eps"], [float("nan")]), "threat_model.eps.0"),
    "NaN as text": (changed(["threat_model", "eps"], ["nan"]), "a fraction such as 8/255"),
    "a fraction that never ends": (changed(["threat_model", "eps"], ["1e999999999"]), "a fraction such as 8/255"),
    "eps that print alike": (changed(["threat_model", "eps"], [0.03, 0.03 + 1e-12]), "twice"),
    "a true count": (changed(["training", "epochs"], True), "training.epochs"),
    "a count of text": (changed(["training", "epochs"], "1"), "training.epochs"),
    "a huge count": (changed(["training", "epochs"], 10**400), "training.epochs"),
    "a negative count": (changed(["data", "train"], -5), "data.train"),
    "a huge network": (changed(["models", "net", "width"], 10**7), "GiB of memory"),
    "an absurd network": (changed(["models", "net", "width"], 10**30), "too large"),
    "a huge option": (changed(["attacks"], [{"name": "pgd", "steps": 10**400}]), "too large"),
    "an option of text": (changed(["attacks"], [{"name": "pgd", "steps": "0"}]), "valid integer"),
    "keys of two kinds": (changed(["models", "net", "width"], {1: 2, "a": 3}), "models.net.width"),
    "no width": (changed(["models", "net", "width"], 0), "cannot be built"),
    "a huge rank": (changed(["models", "lr", "lr_layers", "avgpool"], 10**9), "exceeds the layer's"),
    "too many steps": (changed(["seeds"], list(range(1000))).replace(
        "  lr:", "".join(f"  net{i}: {{extends: net}}\n" for i in range(40)) + "  lr:"), "at most 50,000"),
    "a chain of models": (changed(["models"], CHAIN), "extend one another"),
    "a circle of models": (changed(["models", "net"], {"extends": "lr"}), "in a circle"),
    "a seed twice": (changed(["seeds"], [1, 1]), "twice"),
    # Names that would be paths, and code.
    "a suite named ..": (changed(["name"], ".."), "name"),
    "a suite named by a path": (changed(["name"], "../../etc/passwd"), "name"),
    "an absolute name": (changed(["name"], "/hacked"), "name"),
    "a model named by two lines": (changed(["models"], {"a\nb": {"arch": "resnet18"}}), "printable characters"),
    "a label that is a path": (changed(["attacks"], [{"name": "pgd", "label": "../../x"}]), "attacks.0.label"),
    "a data set that is a path": (changed(["data"], "../digits"), "unknown data set"),
    "a function of the system": (
        changed(["models", "net"], {"arch": "os:system", "command": "touch hacked"}), "no package of models"),
    "a function of a package": (
        changed(["models", "net"], {"arch": "torch:load", "f": "evil.pt", "weights_only": False}), "makes no model"),
    "a function with dots": (changed(["models", "net", "arch"], "..os:system"), "no package of models"),
    "a file that is not there": (changed(["models", "net", "arch"], "../../evil.py:build"), "no such file"),
    "a path too long": (changed(["models", "net", "arch"], "a" * 1900 + ".py:build"), "no such file"),
    "weights that are a device": (
        changed(["models"], {"net": {"arch": "resnet18", "weights": "/dev/zero"}}), "no such file"),
    "data that is a device": (changed(["data"], {"name": "npz", "path": "/dev/zero"}), "no such file"),
    "an attack of the system": (changed(["attacks"], ["art:__builtins__"]), "attacks.0"),
}  # fmt: skip


def test_there_are_sixty():
    assert len(HOSTILE) >= 60


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_suite_is_refused(name, folder, capsys):
    content, message = HOSTILE[name]
    path = folder / "suite.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    said = refused(["run", str(path)], capsys)
    assert message in said
    assert list(folder.iterdir()) == [path]


def test_warnings_of_torch_s_add_no_lines(folder, capsys, recwarn):
    (folder / "suite.yaml").write_text(HOSTILE["no width"][0])
    refused(["run", "suite.yaml"], capsys)
    assert not recwarn.list


FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
PATHS = [
    ("name",), ("seeds",), ("data", "name"), ("data", "train"), ("data", "test"), ("models",), ("models", "net"),
    ("models", "net", "arch"), ("models", "net", "width"), ("models", "lr", "extends"), ("models", "lr", "lr_layers"),
    ("models", "lr", "lr_layers", "avgpool"), ("training",), ("training", "epochs"), ("training", "batch_size"),
    ("threat_model",), ("threat_model", "eps"), ("threat_model", "samples"), ("attacks",), ("attacks", 0),
    ("attacks", 1), ("attacks", 1, "name"), ("attacks", 1, "steps"), ("diagnostics",),
    ("diagnostics", "variance_ratio"),
    ("diagnostics", "variance_ratio", "layers"), ("diagnostics", "variance_ratio", "k"), ("diagnostics", "embeddings"),
    ("diagnostics", "embeddings", "dims"), ("extra",), ("models", "net", "extra"), ("training", "extra"),
]  # fmt: skip
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["../x", "a/b", "nan", "1/0", "8/255", "os:system", "a:b:c", ":", "", "pgd", "digits", "avgpool"]),
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN, inner, max_size=3))


def planned(text, tmp_path, capsys):
    path = tmp_path / "suite.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    capsys.readouterr()
    with frugal(), watched() as deeds:
        status = main(["plan", str(path), "--out", str(tmp_path / "out")])
    captured = capsys.readouterr()
    assert status in {0, 2}
    assert not deeds
    if status == 2:
        assert 1 <= len(captured.err.splitlines()) <= 3, captured.err
        assert captured.out == ""


@FUZZ
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_any_value_in_any_place_is_taken_or_refused_in_a_line(path, value, tmp_path_factory, capsys):
    planned(changed(path, value), tmp_path_factory.mktemp("suite"), capsys)


@FUZZ
@given(text=st.one_of(st.binary(max_size=200), st.text(max_size=200), VALUES.map(yaml.safe_dump)))
@example(text="a: " + "[" * 30)
def test_any_text_at_all_is_refused_in_a_line(text, tmp_path_factory, capsys):
    planned(text, tmp_path_factory.mktemp("suite"), capsys)


@FUZZ
@given(place=st.integers(0, len(TEXT) - 1), char=st.sampled_from(list(":{}[]-&*!|>'\"%@`#,? \n\t\0é\u2028")))
def test_a_suite_with_one_character_changed_is_taken_or_refused_in_a_line(place, char, tmp_path_factory, capsys):
    planned(TEXT[:place] + char + TEXT[place + 1 :], tmp_path_factory.mktemp("suite"), capsys)
