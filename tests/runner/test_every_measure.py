"""Models from elsewhere, and what every measure takes, through whole runs."""

import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.code import forget

import lrbench
from lrbench.data import to_unit
from lrbench.diagnostics import activations, embedding_accuracies
from lrbench.diagnostics.corruptions import corrupted
from lrbench.errors import UsageError
from lrbench.models import load_checkpoint
from lrbench.models.resnet import resnet18
from lrbench.runner import Session
from lrbench.runner.context import Context
from lrbench.runner.reporter import Silent

SUITE = """\
name: deep
data: {name: digits, train: 300, test: 100, superclasses: {low: [0, 1, 2, 3, 4], high: [5, 6, 7, 8, 9]}}
models:
  net: {arch: resnet18, width: 4}
  lr: {extends: net, lr_layers: {avgpool: 5}, training: {epochs: 1, adversarial: {eps: 8/255, steps: 1}}}
  loaded: {arch: resnet18, width: 4, weights: WEIGHTS, normalize: {mean: [0.4], std: [0.2]}}
training: {epochs: 2, batch_size: 50, learning_rate: 0.05, warmup_accuracy: 0.0}
threat_model: {eps: [8/255, 32/255], samples: 20, l2_dissimilarities: [0.05]}
attacks: [iter-fsgm]
diagnostics:
  variance_ratio: {layers: [avgpool], k: [1, 10], curve: 12}
  embeddings: {layer: avgpool, dims: [full, 3]}
  linear_probe: {layer: avgpool}
  compression: {layer: layer3, dim: 6}
  clusters: {layer: avgpool, samples: 40}
  masking: {samples: 8, steps: 2, queries: 4, draws: 2, unbounded: 2}
reference:
  source: the paper
  figures: [{model: net, metric: vr, parameters: {k: 10}, layer: avgpool, value: 0.9, where: table 2}]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep")
    torch.manual_seed(5)
    save_file(resnet18(2, 1, width=4).state_dict(), folder / "w.safetensors")
    (folder / "deep.yaml").write_text(SUITE.replace("WEIGHTS", str(folder / "w.safetensors")))
    return folder, lrbench.run(folder / "deep.yaml", out=folder / "out")


def value(board, **where):
    rows = board.results
    for column, wanted in where.items():
        rows = rows[rows[column] == wanted]
    assert len(rows) == 1
    return rows.iloc[0]["value"]


def trained(folder, name, step="train"):
    session = Session.open(folder / "deep.yaml", folder / "out")
    context = Context(session.suite, session.data, torch.device("cpu"), session.store)
    model = context.build(name, finished=True)
    return load_checkpoint(model, folder / "out" / "steps" / step / name / "seed-0").eval(), session.data


def test_a_linear_probe_is_measured_on_coarse_and_fine_labels(finished):
    folder, board = finished
    model, data = trained(folder, "net")
    train, test = (activations(model, split, ["avgpool"])["avgpool"] for split in (data.train, data.test))
    fine = embedding_accuracies((train, data.train.fine), (test, data.test.fine), ["full"])["full"]
    assert value(board, model="net", metric="linear_probe_accuracy", labels="fine") == fine
    coarse = value(board, model="net", metric="linear_probe_accuracy", labels="coarse")
    assert coarse == value(board, model="net", metric="embedding_accuracy", dimensions="full")


def test_compression_has_every_figure_and_times_apart(finished):
    folder, board = finished
    for metric in ("parameters", "multiply_adds", "seconds_per_image"):
        full, small = (value(board, model="net", metric=metric, part=part) for part in ("full", "compressed"))
        assert small > 0
        assert metric == "seconds_per_image" or small < full
    assert value(board, model="net", metric="compression_accuracy", part="full") == value(
        board, model="net", metric="accuracy"
    )
    assert 0.5 < value(board, model="net", metric="compression_accuracy", part="compressed") <= 1
    assert "seconds" not in (folder / "out" / "results.csv").read_text()
    assert "seconds_per_image" in (folder / "out" / "timings.csv").read_text()


def test_variance_comes_with_its_curve_and_ranks(finished):
    _, board = finished
    table = board.results.query("model == 'net' and layer == 'avgpool'")
    figures = set(table[["metric", "k"]].itertuples(index=False, name=None))
    assert {("vr", str(k)) for k in range(1, 13)} <= figures
    assert {("stable_rank", ""), ("effective_rank", ""), ("class_vr_mean", "1"), ("centred_vr", "1")} <= figures
    of_class = [value(board, model="net", metric="class_vr", **{"class": name}) for name in ("low", "high")]
    assert value(board, model="net", metric="class_vr_mean") == pytest.approx(sum(of_class) / 2)


def test_centred_variance_does_not_depend_on_the_lr_layer_s_b(finished):
    folder, board = finished
    model, data = trained(folder, "lr")
    held = activations(model, data.train, ["avgpool"])["avgpool"].double()
    centred = held - held.mean(dim=0)
    squares = torch.linalg.svdvals(centred).square()
    expected = (squares[:10].sum() / squares.sum()).item()
    assert value(board, model="lr", layer="avgpool", metric="centred_vr", k="10") == pytest.approx(expected, abs=1e-5)


def test_given_weights_are_measured_as_they_are(finished):
    folder, board = finished
    model, data = trained(folder, "loaded", step="load")
    given = load_file(folder / "w.safetensors")
    assert all(torch.equal(tensor, given[name]) for name, tensor in model.net.state_dict().items())
    assert model.mean.item() == pytest.approx(0.4)
    correct = (model(to_unit(data.test.images)).argmax(dim=1) == data.test.labels).double().mean().item()
    assert value(board, model="loaded", metric="accuracy") == correct
    assert "training_accuracy" not in set(board.results.query("model == 'loaded'")["metric"])


def test_other_weights_make_the_model_s_steps_again(finished, tmp_path):
    folder, _ = finished
    other = resnet18(2, 1, width=4).state_dict()
    save_file(other, tmp_path / "other.safetensors")
    path = tmp_path / "deep.yaml"
    path.write_text(SUITE.replace("WEIGHTS", str(tmp_path / "other.safetensors")))
    states = Session.open(path, folder / "out").states
    assert states["load/loaded/seed-0"] == "changed: the weights it starts from"
    assert all(state == "done" for step, state in states.items() if "/loaded/" not in step)


def test_figures_are_drawn_once(finished):
    folder, board = finished
    figures = folder / "out" / "figures"
    index = json.loads((figures / "index.json").read_text())
    drawn = [*figures.iterdir(), folder / "out/report.html"]
    names = [path.relative_to(folder / "out").as_posix() for path in drawn]
    assert sorted(names) == sorted([*index["files"], "figures/index.json"])
    assert {"figures/training.png", "figures/clusters-avgpool.svg", "report.html"} <= set(index["files"])
    before = {path: path.stat().st_mtime_ns for path in drawn}
    lrbench.run(folder / "deep.yaml", out=folder / "out")
    assert {path: path.stat().st_mtime_ns for path in drawn} == before
    (figures / "index.json").write_text("{")
    lrbench.run(folder / "deep.yaml", out=folder / "out")
    assert json.loads((figures / "index.json").read_text()) == index
    assert board.comparisons[0].measured is not None


def fault(tmp_path, old, new):
    save_file(resnet18(2, 1, width=4).state_dict(), tmp_path / "w.safetensors")
    text = SUITE.replace("WEIGHTS", str(tmp_path / "w.safetensors"))
    assert old in text
    path = tmp_path / "deep.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UsageError) as caught:
        Session.open(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("low: [0, 1,", "low: [0, 11,", r"line 2: data\.superclasses: low: unknown class '11'"),
        ("low: [0, 1,", "low: [0, 5,", r"data\.superclasses: high: class '5' is in two superclasses"),
        ("low: [0, 1,", "low: [0,", r"data\.superclasses: class '1' is in no superclass"),
        (", superclasses: {low: [0, 1, 2, 3, 4], high: [5, 6, 7, 8, 9]}", "", r"diagnostics\.linear_probe: .* no fine"),
        ("{layer: layer3, dim: 6}", "{layer: layer9, dim: 6}", r"diagnostics\.compression\.layer: .* no layer"),
        ("{layer: layer3, dim: 6}", "{layer: layer3, dim: 600}", r"diagnostics\.compression\.dim: 600 dim.* only 64"),
        ("linear_probe: {layer: avgpool}", "linear_probe: {layer: pool}", r"diagnostics\.linear_probe\.layer"),
        ("clusters: {layer: avgpool", "clusters: {layer: pool", r"diagnostics\.clusters\.layer"),
        ("mean: [0.4]", "mean: [0.4, 0.4]", r"models\.loaded\.normalize\.mean: has 2 values for .* 1 channels"),
        ("width: 4, weights", "width: 8, weights", r"models\.loaded\.weights: .* does not fit the model"),
        ("w.safetensors", "v.safetensors", r"no such file: .*v\.safetensors"),
        ("arch: resnet18, width: 4}", "arch: 'torchvision:resnet81'}", r"models\.net\.arch: .*did you mean 'resnet18'"),
        ("arch: resnet18, width: 4}", "arch: 'nowhere.py:f'}", r"models\.net\.arch: no such file: nowhere\.py"),
    ],
)
def test_faults_are_named_where_they_stand(tmp_path, old, new, message):
    assert re.search(message, fault(tmp_path, old, new))


def test_a_function_of_a_file_and_a_torchvision_model_join_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\ndef build(num_classes: int, in_channels: int, hidden: int = 8):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64 * in_channels, hidden), nn.ReLU(),\n"
        "                         nn.Linear(hidden, num_classes))\n"
    )
    (tmp_path / "suite.yaml").write_text(
        "name: far\ndata: {name: digits, train: 100, test: 20}\n"
        "models:\n  mine: {arch: 'mine.py:build', hidden: 16, lr_layers: {'1': 4}}\n"
        "  theirs: {arch: 'torchvision:squeezenet1_1', normalize: false}\n"
        "training: {epochs: 1, batch_size: 50, warmup_accuracy: 0}\n"
    )
    # SqueezeNet's pooling leaves nothing of an 8x8 image: that is said, not found out in training.
    with pytest.raises(UsageError, match=r"models\.theirs: cannot be built or run on 1x8x8 images"):
        Session.open("suite.yaml")
    text = (tmp_path / "suite.yaml").read_text().replace("squeezenet1_1", "resnet18")
    (tmp_path / "suite.yaml").write_text(text)
    board = lrbench.run("suite.yaml", out="out", reporter=Silent())
    assert set(board.models) == {"mine", "theirs"}
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text().replace("nn.ReLU()", "nn.Tanh()"))
    forget()
    assert Session.open("suite.yaml", "out").states["train/mine/seed-0"] == "changed: mine.py"


def test_accuracy_under_corruptions_is_that_of_the_corrupted_images(tmp_path):
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 60), ("test", 20)):
        labels = np.arange(count) % 2
        images = generator.integers(0, 90, (count, 32, 32, 3)) + 80 * labels[:, None, None, None]
        arrays |= {f"x_{part}": images.astype(np.uint8), f"y_{part}": labels}
    np.savez(tmp_path / "own.npz", **arrays)
    (tmp_path / "own.yaml").write_text(
        f"name: own\ndata: {{name: npz, path: {tmp_path / 'own.npz'}}}\n"
        "models: {net: {arch: resnet18, width: 4}}\ntraining: {epochs: 2, batch_size: 20}\n"
        "diagnostics: {corruptions: {families: [brightness, gaussian_noise], severities: [1, 5], samples: 16}}\n"
    )
    board = lrbench.run(tmp_path / "own.yaml", out=tmp_path / "out")
    session = Session.open(tmp_path / "own.yaml", tmp_path / "out")
    context = Context(session.suite, session.data, torch.device("cpu"), session.store)
    model = load_checkpoint(context.build("net"), tmp_path / "out" / "steps" / "train" / "net" / "seed-0").eval()
    split = session.data.test.balanced(16)
    shares = []
    for family in ("brightness", "gaussian_noise"):
        for severity in (1, 5):
            images = to_unit(corrupted(split.images, family, severity))
            shares.append((model(images).argmax(dim=1) == split.labels).float().mean().item())
            assert value(
                board, metric="corruption_accuracy", corruption=family, severity=str(severity)
            ) == pytest.approx(shares[-1])
    assert value(board, metric="mean_corruption_accuracy") == pytest.approx(sum(shares) / 4)
    assert "Accuracy under common corruptions, severities 1, 5, n = 16" in [block.title for block in board.blocks]
