"""Activations that do not fit into memory give what those that do give."""

import pytest
import torch
from support.nets import InPlace

import lrbench
from lrbench.attacks.layers import find_module, watched
from lrbench.data import Split, to_unit
from lrbench.diagnostics import (
    StoredMatrix,
    activations,
    class_variance_ratios,
    embed,
    embedding_accuracies,
    principal,
    stored_activations,
    variance_ratio,
)
from lrbench.errors import LrbenchError

pytestmark = pytest.mark.usefixtures("undrawn")

MODULE = "lrbench.diagnostics.blocks.MEMORY_BYTES"


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (50, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return Split(images, torch.randint(4, (50,), generator=generator))


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_rows_labels_and_shifts_are_those_of_the_activations(small_net, split, monkeypatch, limit):
    monkeypatch.setattr(MODULE, limit)
    expected = activations(small_net, split, ["bn1", "avgpool"])
    shift = torch.linspace(-1, 1, expected["avgpool"].shape[1])
    with stored_activations(small_net, split, ["bn1", "avgpool"], {"avgpool": shift}, batch_size=7) as found:
        assert isinstance(found["bn1"].matrix, StoredMatrix) == (limit == 0)
        for name, one in found.items():
            rows = one.matrix if limit else torch.cat([block.clone() for block in one.matrix.blocks()])
            torch.testing.assert_close(rows, (expected[name] + (shift if name == "avgpool" else 0))[one.order])
            assert torch.equal(one.of(split.labels), split.labels[one.order])
            assert limit or bool((one.of(split.labels).diff() >= 0).all())


def test_what_follows_in_place_does_not_change_a_layer_s_activations(split):
    layers = ["norm", "second"]
    found, expected = (activations(InPlace(each), split, layers) for each in (True, False))
    assert all(torch.equal(found[name], expected[name]) for name in layers)
    x = to_unit(split.images)
    for name in layers:
        seen = []
        for net in (InPlace(True).eval(), InPlace(False).eval()):
            with torch.no_grad(), watched(find_module(net, name)) as collected:
                net(x)
            seen.append(collected[0])
        assert torch.equal(*seen)


def test_ratios_of_all_and_of_each_class_are_the_same(small_net, split, monkeypatch):
    matrix = activations(small_net, split, ["conv2"])["conv2"]
    monkeypatch.setattr(MODULE, 0)
    with stored_activations(small_net, split, ["conv2"]) as found:
        stored = found["conv2"]
        labels = stored.of(split.labels)
        assert variance_ratio(stored.matrix, [1, 3]) == pytest.approx(variance_ratio(matrix, [1, 3]), abs=1e-6)
        expected = class_variance_ratios(matrix, split.labels)
        assert class_variance_ratios(stored.matrix, labels) == pytest.approx(expected, abs=1e-6)
        with pytest.raises(ValueError, match="sorted by class"):
            class_variance_ratios(stored.matrix, labels.flip(0))
        picked = stored.matrix.picked(torch.tensor([5, 2]))
        torch.testing.assert_close(picked, matrix[stored.order[torch.tensor([5, 2])]])
        components = principal(stored.matrix, 2, center=True)
        assert embed(components, stored.matrix).shape == (50, 2)
        with pytest.raises(LrbenchError, match="name smaller dimensions"):
            embedding_accuracies((stored.matrix, labels), (stored.matrix, labels), ["full"])


def test_the_files_are_gone_afterwards(small_net, split, monkeypatch, tmp_path):
    monkeypatch.setattr(MODULE, 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with stored_activations(small_net, split, ["bn1"]):
        assert list(tmp_path.rglob("*.npy"))
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArithmeticError), stored_activations(small_net, split, ["bn1"]):
        raise ArithmeticError
    assert not list(tmp_path.iterdir())


SUITE = """\
name: stored
data: {name: digits, train: 200, test: 60}
models: {net: {arch: resnet18, width: 4}}
training: {epochs: 1, batch_size: 50}
diagnostics:
  variance_ratio: {layers: [layer3, avgpool], k: [1, 5]}
  embeddings: {layer: layer3, dims: [5]}
  compression: {layer: layer3, dim: 5}
"""


def test_a_suites_figures_do_not_depend_on_where_they_are_stored(tmp_path, monkeypatch):
    (tmp_path / "stored.yaml").write_text(SUITE)
    there = lrbench.run(tmp_path / "stored.yaml", tmp_path / "memory").results
    monkeypatch.setattr(MODULE, 0)
    board = lrbench.run(tmp_path / "stored.yaml", tmp_path / "disk")
    assert not board.failures
    names = there["metric"].tolist()
    assert board.results["metric"].tolist() == names
    timed = there["metric"].str.startswith("seconds")
    # A classifier trained by SGD sees the rows in another order.
    loose = there["metric"].str.contains("accuracy")
    exact = ~timed & ~loose
    for chosen, tolerance in ((exact, 1e-4), (loose & ~timed, 0.1 + 1e-9)):
        difference = (board.results["value"][chosen] - there["value"][chosen]).abs()
        assert difference.max() <= tolerance, board.results[chosen][difference > tolerance]
