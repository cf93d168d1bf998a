"""What a suite can say of regularizers, what it is told where it is wrong, and what is said of them elsewhere."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import lrbench
from lrbench.catalogue import REGULARIZERS
from lrbench.cli import main
from lrbench.regularizers.registry import regularizer_of
from lrbench.suite import Suite

ROOT = Path(__file__).parents[2]
SAID = {
    "condlr": {"rank": 0.5, "condition": 1},
    "jacobian": {},
    "low_rank_weights": {"layers": ["fc"]},
    "mean_sparse": {"threshold": 0.3},
    "nuclear_norm": {"layers": ["avgpool"]},
    "spectral_norm": {},
    "srn": {"target": 0.3},
}


def suite_of(regularizers=None, **keys):
    net = {"arch": "resnet18", "width": 4}
    other = {**net, **keys} | ({} if regularizers is None else {"regularizers": regularizers})
    raw = {"name": "r", "data": "digits", "models": {"net": net, "other": other}}
    return raw | {"training": {"epochs": 1, "batch_size": 50}}


def test_every_one_of_them_is_read_with_its_own_options():
    suite = Suite.model_validate(suite_of(SAID))
    asked = suite.models["other"].regularizers.asked
    assert list(asked) == [entry.name for entry in REGULARIZERS] == list(SAID)
    for name, options in asked.items():
        assert type(options) is regularizer_of(name).Options
        assert options.model_dump(mode="json", exclude_unset=True) == SAID[name]
    assert Suite.model_validate_json(suite.model_dump_json()) == suite
    assert Suite.model_validate(yaml.safe_load(yaml.safe_dump(suite.model_dump(mode="json")))) == suite
    assert suite.models["net"].regularizers.content == {}
    assert pickle.loads(pickle.dumps(suite.models["other"])) == suite.models["other"]  # noqa: S301


def test_null_takes_away_what_a_model_inherits():
    assert Suite.model_validate(suite_of({"srn": None})).models["other"].regularizers.asked == {}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"regularizers": {"srm": {}}}, "unknown key; did you mean 'srn'"),
        ({"regularizers": {"srn": {"aim": 1}}}, "unknown key"),
        ({"regularizers": {"srn": {"target": 0}}}, "greater than 0"),
        ({"regularizers": {"nuclear_norm": {}}}, "Field required"),
        ({"regularizers": {"condlr": {"condition": 0.5}}}, "greater than or equal to 1"),
        (
            {"regularizers": {"srn": {}}, "train": False, "weights": "a.pt"},
            "srn acts in training only; add `train: true`",
        ),
        ({"init_from": "net", "train": False}, "needs no training|but for `regularizers` that need no training"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(keys, words):
    with pytest.raises(ValidationError, match=words):
        Suite.model_validate(suite_of(**keys))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"regularizers": {"nuclear_norm": {"layers": ["pool"]}}}, "regularizers.nuclear_norm.layers: .*'pool'"),
        ({"regularizers": {"srn": {"layers": ["bn1"]}}}, "bn1 is a BatchNorm2d; weights are those of convolutions"),
        (
            {"regularizers": {"jacobian": {}}, "training": {"compile": True}},
            "jacobian: cannot be computed of a compiled",
        ),
    ],
    ids=["layer", "weight", "compiled"],
)
def test_what_does_not_fit_is_told_before_anything_is_trained(keys, words, tmp_path, capsys):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(suite_of(**keys)))
    assert main(["plan", str(path), "--out", str(tmp_path / "run")]) == 2
    assert re.search(words, capsys.readouterr().err)


def test_the_list_and_the_docs_have_every_option(capsys):
    assert main(["regularizers"]) == 0
    said = capsys.readouterr().out
    page = (ROOT / "docs/suite.md").read_text("utf-8")
    own = (ROOT / "docs/regularizers.md").read_text("utf-8")
    for entry in REGULARIZERS:
        options = regularizer_of(entry.name).Options.model_fields
        assert 20 < len(entry.summary) <= 120
        line = re.search(rf"^{entry.name} .*$", said, re.MULTILINE)[0]
        assert entry.summary.rstrip(".") in line
        row = re.search(rf"^\| `{entry.name}` \| {{(.*)$", page, re.MULTILINE)[1]
        for option in options:
            assert option in line.partition("options: ")[2]
            assert f"`{option}`" in row
        assert f"## {entry.name}\n" in own


def test_looking_at_what_is_registered_loads_no_torch():
    code = "import sys; from lrbench.catalogue import REGULARIZERS; assert list(REGULARIZERS)"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)


def test_one_of_one_s_own_is_named_in_a_suite_and_counts_by_its_code():
    @lrbench.register_regularizer("shrink")
    class Shrink(lrbench.Regularizer):
        """Makes weights small."""

    suite = Suite.model_validate(suite_of({"shrink": {}}))
    assert list(suite.models["other"].regularizers.asked) == ["shrink"]
    lrbench.register_regularizer("odd")(dict)
    with pytest.raises(lrbench.UsageError, match=r"'odd' is no subclass of lrbench\.Regularizer"):
        regularizer_of("odd")
    assert Shrink.Options().model_dump() == {}
