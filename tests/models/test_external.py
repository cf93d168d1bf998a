import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lrbench.catalogue import MODELS
from lrbench.errors import UsageError
from lrbench.models import load_weights


def build(name, num_classes=4, in_channels=3, **options):
    return MODELS[name].load()(num_classes=num_classes, in_channels=in_channels, **options)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:resnet18"])
def test_models_of_torchvision_and_timm(name, channels):
    assert build(name, in_channels=channels).eval()(torch.rand(2, channels, 32, 32)).shape == (2, 4)


def test_a_function_of_a_file_and_of_a_module(tmp_path, monkeypatch):
    (tmp_path / "parts.py").write_text("WIDTH = 5\n")
    file = tmp_path / "my_models.py"
    file.write_text(
        "from torch import nn\nfrom parts import WIDTH\n\n"
        "def build(num_classes: int, in_channels: int, hidden: int = WIDTH):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(4 * in_channels, hidden), nn.Linear(hidden, num_classes))\n"
    )
    net = build(f"{file}:build", in_channels=1)
    assert net[1].out_features == 5
    assert build(f"{file}:build", in_channels=1, hidden=7)[1].out_features == 7
    monkeypatch.syspath_prepend(tmp_path)
    assert build("my_models:build", in_channels=1)[1].out_features == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet81", "did you mean 'resnet18'"),
        ("timm:resnet19", "timm has no model"),
        ("nowhere.py:build", "no such file"),
        ("no_such_package.at_all:build", "cannot import no_such_package"),
        ("lrbench.models.resnet:resnet81", "did you mean 'resnet18'"),
        (":build", "torchvision:NAME or timm:NAME"),
    ],
)
def test_what_is_not_there_is_named(name, message):
    with pytest.raises(UsageError, match=message):
        MODELS[name]


def test_a_file_that_does_not_import_is_one_line(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import torch\n\nraise ValueError('no\\nsuch thing')\n")
    with pytest.raises(UsageError, match=r"importing .*broken\.py failed: ValueError: no such thing$"):
        MODELS[f"{file}:build"]


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
def test_weights_from_torch_files_with_their_wrappers(tmp_path, wrap, prefix):
    trained = net(1)
    state = {prefix + name: tensor for name, tensor in trained.state_dict().items()}
    torch.save(wrap(state), tmp_path / "w.pt")
    loaded = load_weights(net(2), tmp_path / "w.pt")
    assert all(torch.equal(tensor, trained.state_dict()[name]) for name, tensor in loaded.state_dict().items())


def test_weights_from_safetensors(tmp_path):
    trained = net(1)
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    assert torch.equal(load_weights(net(2), tmp_path / "w.safetensors")[0].weight, trained[0].weight)


class Payload:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('HACKED').write_text('x')",))


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").write_bytes(pickle.dumps(Payload()))
    torch.save({"state_dict": Payload()}, tmp_path / "w2.pt")
    for name in ("w.pt", "w2.pt"):
        with pytest.raises(UsageError, match=r"would run its author's code; .* safetensors"):
            load_weights(net(), tmp_path / name)
    assert not (tmp_path / "HACKED").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"0.weight": torch.zeros(9, 9)}, "does not fit the model"),
        ([torch.zeros(3)], "holds no state dict"),
        ({"0.weight": "text"}, "holds no state dict"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(UsageError, match=message):
        load_weights(net(), tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_files_that_hold_no_weights_are_named(tmp_path, name):
    with pytest.raises(UsageError, match="no such file"):
        load_weights(net(), tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match="cannot read weights"):
        load_weights(net(), tmp_path / name)
