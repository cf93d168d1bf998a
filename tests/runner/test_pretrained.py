"""Networks with the weights of a library in a suite: images come to them as the library says, unless the suite does."""

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from support.offered import COMMIT, hub_weights, torchvision_weights
from support.photographs import CLASSES, laid
from torchvision import models

import lrbench
from lrbench.cli import main
from lrbench.data import to_unit
from lrbench.errors import UsageError
from lrbench.runner import Session
from lrbench.runner.context import Context
from lrbench.runner.pretrained import with_weights
from lrbench.suite import Suite
from lrbench.suite.document import Document

SQUEEZENET = {"arch": "torchvision:squeezenet1_1", "weights": "DEFAULT"}
RESNET = {"arch": "timm:test_resnet", "pretrained": True}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    laid(tmp_path / "photos")
    torchvision_weights(tmp_path / "torch", monkeypatch, "squeezenet1_1")
    hub_weights(tmp_path / "hub", monkeypatch, "timm/test_resnet.r160_in1k", "test_resnet")
    return tmp_path


def written(folder, models, **data):
    data = {"name": "image-folder", "path": "photos", "classes": CLASSES, **data}
    content = {"name": "photos", "data": {key: data[key] for key in data if data[key] is not None}, "models": models}
    (folder / "photos.yaml").write_text(yaml.safe_dump(content))
    return folder / "photos.yaml"


def theirs(spec):
    """The network and the preprocessing, built as its library says."""
    if spec is SQUEEZENET:
        weights = models.SqueezeNet1_1_Weights.DEFAULT
        return models.squeezenet1_1(weights=weights), weights.transforms()
    net = timm.create_model("test_resnet", pretrained=True)
    return net, timm.data.create_transform(**timm.data.resolve_model_data_config(net))


@pytest.mark.parametrize("spec", [pytest.param(SQUEEZENET, marks=pytest.mark.slow), RESNET])
def test_images_come_to_a_network_as_its_library_prepares_them(folder, spec):
    session = Session.open(written(folder, {"net": spec}), out=folder / "out", device="cpu", data_dir=folder)
    context = Context(session.suite, session.data, session.device, session.store)
    net, prepare = theirs(spec)
    files = [next((folder / "photos/test" / name).iterdir()) for name in sorted(CLASSES)]
    prepared = torch.stack([prepare(Image.open(file).convert("RGB")) for file in files])
    categories = models.ResNet18_Weights.DEFAULT.meta["categories"]
    chosen = [categories.index(CLASSES[name]) for name in sorted(CLASSES)]
    with torch.no_grad():
        ours = context.build("net").eval()(to_unit(session.data.test.images))
        expected = net.eval()(prepared)[:, chosen]
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    board = lrbench.run(folder / "photos.yaml", out=folder / "out", data_dir=folder)
    accuracy = board.results.query("metric == 'accuracy'")["value"].item()
    assert accuracy == (expected.argmax(1) == torch.arange(len(files))).float().mean().item()


def test_the_run_s_suite_spells_out_what_the_weights_say(folder):
    written(folder, {"net": RESNET, "other": {**RESNET, "normalize": False}})
    lrbench.run("photos.yaml", out="out", data_dir=folder)
    suite = yaml.safe_load((folder / "out/suite.yaml").read_text())
    assert {key: suite["data"][key] for key in ("size", "resize", "interpolation")} == {
        "size": 160, "resize": 168, "interpolation": "bilinear"
    }  # fmt: skip
    assert suite["data"]["outputs"] == {"of": "imagenet", "classes": CLASSES, "among": "classes"}
    assert suite["models"]["net"]["arch"] == "timm:test_resnet.r160_in1k"
    assert suite["models"]["net"]["normalize"] == {"mean": [0.5] * 3, "std": [0.5] * 3}
    assert suite["models"]["net"]["train"] is False
    assert suite["models"]["other"]["normalize"] is False
    again = Session.open("out/suite.yaml", out="out", device="cpu", data_dir=folder)
    assert not again.pending


def test_a_network_of_the_hub_is_measured_on_the_classes_that_it_names(folder, monkeypatch):
    labels = ["one", "two", *sorted(CLASSES, reverse=True)]
    config = {"num_classes": len(labels), "input_size": [3, 32, 32], "crop_pct": 1.0, "label_names": labels}
    hub_weights(folder / "mine", monkeypatch, "me/mine", "test_resnet", **config)
    written(folder, {"net": {"arch": "hf-hub:me/mine"}}, outputs={"among": "all"}, classes={})
    session = Session.open("photos.yaml", out="out", device="cpu", data_dir=folder)
    assert session.suite.models["net"].arch == f"hf-hub:me/mine@{COMMIT}"
    assert session.data.classes == tuple(labels)
    named = [labels[label] for label in session.data.test.labels.tolist()]
    assert named == sorted(CLASSES)
    assert session.data.test.images.shape[2:] == (32, 32)


def test_fewer_are_right_among_all_outputs_than_among_those_of_the_classes(folder):
    written(folder, {"net": RESNET}, size=64)
    subset = lrbench.run("photos.yaml", out="subset", data_dir=folder)
    written(folder, {"net": RESNET}, size=64, outputs={"among": "all"})
    among_all = lrbench.run("photos.yaml", out="all", data_dir=folder)
    accuracies = [board.results.query("metric == 'accuracy'")["value"].item() for board in (subset, among_all)]
    assert accuracies[0] >= accuracies[1]
    assert Session.open("photos.yaml", out="all", data_dir=folder).data.network_outputs == 1000


def resolved(models, **data):
    content = {"name": "s", "data": {"name": "image-folder", "path": "p", **data}, "models": models}
    return with_weights(Suite.model_validate(content), Document("s", content, {}))


NEWER = {"arch": "torchvision:resnet50", "weights": "IMAGENET1K_V2"}
OLDER = {"arch": "torchvision:resnet50", "weights": "IMAGENET1K_V1"}


@pytest.mark.parametrize(("given", "expected"), [
    ({}, {"size": 224, "resize": 232, "interpolation": "bilinear"}),
    ({"resize": 300}, {"size": 224, "resize": 300, "interpolation": "bilinear"}),
    ({"size": 64}, {"size": 64, "interpolation": "bilinear"}),
    ({"size": 64, "interpolation": "nearest"}, {"size": 64, "interpolation": "nearest"}),
])  # fmt: skip
def test_what_the_suite_says_of_images_counts(given, expected):
    assert resolved({"net": NEWER}, **given).data.options == {"path": "p", **expected}


def test_networks_that_want_other_images_are_refused_until_the_suite_says_which():
    with pytest.raises(UsageError, match=r"differ in `resize` \(232 for a, 256 for b\).*get the same images"):
        resolved({"a": NEWER, "b": OLDER})
    assert resolved({"a": NEWER, "b": OLDER}, resize=256).data.options["resize"] == 256
    squashed = next(name for name in timm.list_pretrained() if timm.get_pretrained_cfg(name).crop_mode == "squash")
    with pytest.raises(UsageError, match="net take no squares from the middle"):
        resolved({"net": {"arch": f"timm:{squashed}", "pretrained": True}})


@pytest.mark.parametrize(("spec", "words"), [
    ({"arch": "torchvision:resnet50", "train": False}, "`train: false` needs `weights`"),
    ({"arch": "timm:resnet18", "train": False}, "`train: false` needs `weights`"),
    ({"arch": "timm:resnet18", "weights": "DEFAULT"}, "timm's weights come by `pretrained: true`"),
    ({"arch": "resnet18", "normalize": "weights"}, "`normalize: weights` is for weights that"),
    ({"arch": "timm:resnet18", "pretrained": False, "normalize": "weights"}, "`normalize: weights` is for weights"),
])  # fmt: skip
def test_what_has_no_weights_of_a_library_is_not_taken_for_it(spec, words):
    with pytest.raises(ValueError, match=words):
        resolved({"net": spec})


def test_weights_of_a_library_may_be_trained_further(folder):
    spec = {**RESNET, "train": True, "training": {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3}}
    written(folder, {"net": spec}, size=32)
    board = lrbench.run("photos.yaml", out="out", data_dir=folder)
    assert not board.failures
    assert board.results.query("metric == 'training_accuracy'")["n"].item() == len(CLASSES)


def test_a_network_is_registered_with_what_its_weights_say(folder, capsys):
    small = [
        "--factory",
        "torchvision:squeezenet1_1",
        "--weights",
        "DEFAULT",
        "--shape",
        "3x32x32",
        "--classes",
        "1000",
    ]
    assert main(["register", "small", *small]) == 0
    said = capsys.readouterr().out
    assert "weights IMAGENET1K_V1, from https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth" in said
    assert "1,000 outputs; made for 224 x 224 pixels, the middle of a shorter side of 256 (bilinear)" in said
    assert "mean 0.485 0.456 0.406, std 0.229 0.224 0.225" in said
    assert main(["register", "tiny", "--factory", "timm:test_resnet", "--option", "pretrained=true"]) == 0
    assert "made for 160 x 160 pixels, the middle of a shorter side of 168 (bilinear)" in capsys.readouterr().out
    written(folder, {"net": {"extends": "tiny"}})
    assert Session.open("photos.yaml", out="out", data_dir=folder).suite.data.options["size"] == 160


MISSPELT = {**CLASSES, "rocket": "mossile"}


@pytest.mark.parametrize(
    ("models", "data", "words"),
    [
        (
            {"net": SQUEEZENET},
            {"classes": None},
            "models.net: has weights with 1,000 outputs, for a data set of 8 classes",
        ),
        (
            {"net": {**SQUEEZENET, "weights": "V3"}},
            {},
            "models.net.weights: torchvision has no weights 'V3' of squeezenet",
        ),
        ({"net": RESNET}, {"outputs": {"classes": {}}}, "`classes` and `outputs` both say"),
        ({"net": RESNET}, {"classes": MISSPELT}, "'rocket': 'mossile' is none of ImageNet; did you mean 'missile'"),
        ({"net": {"arch": "timm:test_resnet"}}, {}, "how many outputs networks have is left open, and no model"),
    ],
)
def test_what_does_not_fit_is_a_line_before_anything_runs(folder, capsys, models, data, words):
    written(folder, models, **data)
    assert main(["run", "photos.yaml", "--data-dir", str(folder), "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert not (folder / "out").exists()


def test_images_of_another_size_than_the_weights_were_made_for_are_told_of(folder):
    pixels = torch.zeros(4, 3, 32, 32, dtype=torch.uint8).numpy()
    labels = torch.tensor([0, 1, 0, 1]).numpy()
    np.savez(folder / "small.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    written(folder, {"net": RESNET}, name="npz", path="small.npz", classes={"0": 3, "1": "tench"})
    told = []
    Session.open("photos.yaml", out="out", device="cpu", data_dir=folder, announce=told.append)
    assert told == ["net sees images of 32 x 32 pixels; its weights were made for 160 x 160 pixels"]


@pytest.mark.slow
def test_a_registered_name_is_evaluated_on_the_images_that_its_weights_want(folder, capsys):
    written(folder, {"other": RESNET})
    assert main(["register", "tiny", "--factory", "timm:test_resnet", "--option", "pretrained=true"]) == 0
    board = lrbench.evaluate("tiny", "photos.yaml", data_dir=folder, out=folder / "out", device="cpu")
    assert board.suite["data"]["size"] == 160
    assert board.suite["models"]["tiny"]["normalize"]["mean"] == [0.5] * 3
    net = lrbench.load_model(folder / "out", "tiny")
    x, y = lrbench.load_data(folder / "out", "test", data_dir=folder)
    accuracy = (net(x).argmax(1) == y).float().mean().item()
    assert board.results.query("metric == 'accuracy'")["value"].item() == accuracy
    capsys.readouterr()
