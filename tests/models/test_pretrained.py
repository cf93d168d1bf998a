"""What libraries say of their weights is what is taken; what cannot be had is a line."""

import io
from email.message import Message
from urllib.error import URLError

import pytest
import timm
import torch
from huggingface_hub import constants
from support.offered import COMMIT, hub_weights, torchvision_weights
from torchvision import models

from lrbench.catalogue import MODELS
from lrbench.errors import UsageError
from lrbench.models import hub
from lrbench.models.pretrained import pretrained_of


@pytest.mark.parametrize("name", models.list_models(module=models))
def test_torchvision_s_own_presets_are_taken(name):
    for weights in models.get_model_weights(name):
        if weights.meta["categories"] is None:
            with pytest.raises(UsageError, match=f"{weights.name} of {name} have no classes"):
                pretrained_of(f"torchvision:{name}", weights.name)
            continue
        preset, said = weights.transforms(), pretrained_of(f"torchvision:{name}", weights.name)
        assert ([said.size], [said.resize]) == (preset.crop_size, preset.resize_size)
        assert said.interpolation == preset.interpolation.value
        assert (list(said.mean), list(said.std)) == (preset.mean, preset.std)
        assert (said.outputs, said.categories, said.source) == (1000, "imagenet", weights.url)


def test_the_default_weights_are_named():
    assert pretrained_of("torchvision:resnet50", "DEFAULT").weights == "IMAGENET1K_V2"
    said = pretrained_of("timm:test_resnet")
    assert said.arch == "timm:test_resnet.r160_in1k"
    assert said.source == "https://huggingface.co/timm/test_resnet.r160_in1k"


@pytest.mark.parametrize(
    "name",
    [
        "resnet50.a1_in1k",
        "vit_base_patch16_224.augreg_in21k",
        "tf_efficientnet_lite0.in1k",
        "convnext_base.clip_laion2b_augreg_ft_in12k",
    ],
)
def test_timm_s_own_transforms_are_taken(name):
    said = pretrained_of(f"timm:{name}")
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    resize, crop, _, normalise = timm.data.create_transform(**config).transforms
    assert (said.resize, (said.size, said.size), said.interpolation) == (
        resize.size, crop.size, resize.interpolation.value
    )  # fmt: skip
    assert said.mean == pytest.approx(tuple(normalise.mean.tolist()))
    assert said.std == pytest.approx(tuple(normalise.std.tolist()))
    assert said.outputs == timm.get_pretrained_cfg(name).num_classes
    assert (said.categories == "imagenet") == (said.outputs == 1000)


def test_what_is_squashed_has_no_square_from_the_middle():
    squashed = next(name for name in timm.list_pretrained() if timm.get_pretrained_cfg(name).crop_mode == "squash")
    assert pretrained_of(f"timm:{squashed}").size is None


def test_a_network_of_torchvision_has_its_weights(tmp_path, monkeypatch):
    torchvision_weights(tmp_path, monkeypatch, "squeezenet1_1")
    net = MODELS["torchvision:squeezenet1_1"].load()(num_classes=1000, in_channels=3, weights="DEFAULT")
    theirs = models.squeezenet1_1(weights="DEFAULT")
    assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in net.state_dict().items())


def test_a_network_of_the_hub_has_its_weights_and_names_its_commit(tmp_path, monkeypatch):
    labels = ["north", "east", "south"]
    config = {"num_classes": 3, "input_size": [3, 64, 64], "mean": [0.1] * 3, "std": [0.2] * 3, "crop_pct": 0.8}
    hub_weights(tmp_path, monkeypatch, "me/compass", "test_resnet", label_names=labels, **config)
    said = pretrained_of("hf-hub:me/compass")
    assert said.arch == f"hf-hub:me/compass@{COMMIT}"
    assert pretrained_of(said.arch).arch == said.arch
    assert (said.outputs, said.categories, said.size, said.resize) == (3, tuple(labels), 64, 80)
    net = MODELS[said.arch].load()(num_classes=3, in_channels=3)
    torch.manual_seed(0)
    theirs = timm.create_model("test_resnet", num_classes=3)
    assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in net.state_dict().items())
    assert constants.HF_HUB_OFFLINE is False


@pytest.mark.parametrize(("classes", "channels", "words"), [
    (10, 3, "has weights with 1,000 outputs, for a data set of 10 classes; `data: {classes"),
    (1000, 1, "has weights for images of 3 channels; these have 1"),
])  # fmt: skip
def test_weights_for_something_else_are_refused_before_they_are_fetched(classes, channels, words):
    for name, options in (
        ("torchvision:squeezenet1_1", {"weights": "DEFAULT"}),
        ("timm:resnet18", {"pretrained": True}),
    ):
        with pytest.raises(UsageError, match=words):
            MODELS[name].load()(num_classes=classes, in_channels=channels, **options)


@pytest.mark.parametrize(("arch", "weights", "words"), [
    ("torchvision:resnet50", "IMAGENET1K_V3", "no weights 'IMAGENET1K_V3' of resnet50; did you mean 'IMAGENET1K_V"),
    ("timm:resnet10t.a1_in1k", None, "timm has no weights for 'resnet10t.a1_in1k'; did you mean 'resnet10t.c3_in1k'"),
    ("timm:resnet51q.none", None, "timm has no weights for"),
])  # fmt: skip
def test_weights_that_nobody_offers_are_named(arch, weights, words):
    with pytest.raises(UsageError, match=words):
        pretrained_of(arch, weights)


class Response(io.BytesIO):
    """What a server answers."""

    def info(self):
        told = Message()
        told["Content-Length"] = str(len(self.getvalue()))
        return told


def test_what_is_fetched_is_checked_and_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", lambda _: Response(b"no weights"))
    with pytest.raises(UsageError) as error:
        MODELS["torchvision:squeezenet1_1"].load()(num_classes=1000, in_channels=3, weights="DEFAULT")
    assert str(error.value).startswith(
        "cannot get the weights IMAGENET1K_V1 of squeezenet1_1 from "
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth: invalid hash value"
    )
    assert "100%" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.pth"))


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch):
    asked = []

    class Session:
        def head(self, url, timeout):
            asked.append((url, timeout))
            raise OSError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.get_session", Session)
    with pytest.raises(UsageError, match=r"^cannot get x from https://huggingface.co/a/b: no route to host$"):
        hub.cached_or_fetched(lambda: timm.create_model("hf-hub:me/nowhere"), "x", hub.hub_page("a/b"))
    assert asked == [("https://huggingface.co", hub.SECONDS)]


def gone(*_, **__):
    raise URLError("no network")


@pytest.mark.parametrize(("arch", "options", "words"), [
    ("torchvision:squeezenet1_1", {"weights": "DEFAULT"}, "the weights IMAGENET1K_V1 of squeezenet1_1 from https://download.pytorch.org"),
    ("timm:resnet18", {"pretrained": True}, "the weights of timm:resnet18.a1_in1k from https://huggingface.co/timm/resnet18"),
    ("hf-hub:me/mine", {}, "me/mine's config.json from https://huggingface.co/me/mine: <urlopen error no network>"),
])  # fmt: skip
def test_without_network_a_line_says_what_could_not_be_had(tmp_path, monkeypatch, arch, options, words):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", gone)
    monkeypatch.setattr(hub, "_reach", gone)
    with pytest.raises(UsageError) as error:
        MODELS[arch].load()(num_classes=1000, in_channels=3, **options)
    assert str(error.value).startswith(f"cannot get {words}")
    assert "\n" not in str(error.value)
