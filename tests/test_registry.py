import sys

import pytest

from lrbench.errors import UsageError
from lrbench.registry import Registry

PACKAGE = """\
def build(num_classes, in_channels):
    return "built"
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that offers a model and a broken one by entry points."""
    (tmp_path / "some_models.py").write_text(PACKAGE)
    info = tmp_path / "some_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[lrbench.test]\nsome-net = some_models:build\ngone = some_models:gone\nbuiltin = some_models:build\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("some_models", None)


@pytest.mark.usefixtures("installed")
def test_installed_packages_offer_names():
    registry = Registry("model", {"builtin": ("lrbench.x:y", "ours")}, group="lrbench.test")
    assert "some_models" not in sys.modules
    assert [entry.name for entry in registry] == ["builtin", "some-net", "gone"]
    assert [entry.summary for entry in registry][1] == "from the package some-models"
    assert "some_models" not in sys.modules, "a listing imports nothing"
    assert registry["some-net"].load()(1, 1) == "built"
    assert registry["builtin"].target == "lrbench.x:y", "ours go first"
    with pytest.raises(UsageError, match="cannot load some_models:gone"):
        registry["gone"].load()
    with pytest.raises(UsageError, match="did you mean 'some-net'"):
        registry["sone-net"]


def test_robustbench_models_come_trained_and_take_pixels(monkeypatch, tmp_path):
    """With a stand-in for the package, whose models would have to be downloaded."""
    import types  # noqa: PLC0415

    from torch import nn  # noqa: PLC0415

    import lrbench  # noqa: PLC0415

    asked = []

    def load_model(**given):
        asked.append(given)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    utils = types.SimpleNamespace(load_model=load_model)
    monkeypatch.setitem(sys.modules, "robustbench", types.SimpleNamespace(utils=utils))
    monkeypatch.setitem(sys.modules, "robustbench.utils", utils)
    suite = tmp_path / "s.yaml"
    suite.write_text(
        "name: s\ndata: {name: digits, train: 50, test: 20}\n"
        "models: {theirs: {arch: 'robustbench:cifar10/Linf/Standard'}}\n"
    )
    board = lrbench.run(suite, out=tmp_path / "out")
    assert asked[0] == {"model_name": "Standard", "dataset": "cifar10", "threat_model": "Linf"}
    assert board.suite["models"]["theirs"]["train"] is False
    assert board.suite["models"]["theirs"]["normalize"] is False
    assert (tmp_path / "out/steps/load/theirs/seed-0/weights.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [("robustbench:Standard", "not of the form"), ("robustbench:cifar10/Linf/Standard", "is not installed")],
)
def test_robustbench_names_that_lead_nowhere(name, message, monkeypatch):
    from lrbench.catalogue import MODELS  # noqa: PLC0415

    for module in [each for each in sys.modules if each.partition(".")[0] == "robustbench"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "robustbench", None)
    with pytest.raises(UsageError, match=message):
        MODELS[name]


def test_a_robustbench_that_cannot_be_imported_says_what_it_lacks(tmp_path, monkeypatch):
    from lrbench.catalogue import MODELS  # noqa: PLC0415

    (tmp_path / "robustbench").mkdir()
    (tmp_path / "robustbench" / "__init__.py").write_text("import no_such_autoattack\n")
    for module in [each for each in sys.modules if each.partition(".")[0] == "robustbench"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"cannot be imported \(No module named 'no_such_autoattack'\)"):
        MODELS["robustbench:cifar10/Linf/Standard"]
