"""What every data set must do. A new one joins by a line in `WRITTEN`, and what writes a little of it."""

import re
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from support.cifar import write_cifar

from lrbench.catalogue import DATASETS
from lrbench.data import ImageData
from lrbench.errors import UsageError


def nothing(root, monkeypatch):  # noqa: ARG001
    return {}


def cifar(root, monkeypatch):
    write_cifar(root, monkeypatch)
    return {}


def fashion(root, monkeypatch):  # noqa: ARG001
    raw = root / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    images, labels = np.zeros((20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, 20, 28, 28) + images.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 20) + labels.tobytes())
    return {}


def folder(root, monkeypatch):  # noqa: ARG001
    for name in (f"{part}/{kind}/{i}.png" for part in ("train", "test") for kind in ("cat", "dog") for i in range(12)):
        path = root / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 5)).save(path)
    return {"path": "mine"}


def arrays(root, monkeypatch):  # noqa: ARG001
    images, labels = np.random.default_rng(0).integers(256, size=(20, 6, 6, 3), dtype=np.uint8), np.arange(20) % 4
    np.savez(root / "mine.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return {"path": "mine.npz"}


WRITTEN = {
    "digits": nothing,
    "fashion-mnist": fashion,
    "cifar10": cifar,
    "cifar100": cifar,
    "cifar100-coarse": cifar,
    "image-folder": folder,
    "npz": arrays,
}
"""Writes a little of a data set below a folder, and gives its options."""


@pytest.fixture(params=WRITTEN)
def load(request, tmp_path, monkeypatch):
    options = WRITTEN[request.param](tmp_path, monkeypatch)
    source = DATASETS[request.param].load()
    return lambda train=None, test=None: source(tmp_path, train=train, test=test, **options)


def test_every_data_set_of_the_catalogue_is_in_the_table():
    assert {entry.name for entry in DATASETS} == set(WRITTEN)


def test_it_is_two_splits_of_uint8_images_with_labels_and_class_names(load):
    data = load()
    assert isinstance(data, ImageData)
    for split in (data.train, data.test):
        assert split.pixels.dtype == torch.uint8
        assert split.pixels.ndim == 4
        assert split.labels.dtype == torch.int64
        assert len(split.pixels) == len(split.labels) > 0
        assert split.labels.min() >= 0
        assert split.labels.max() < len(data.classes)
    assert data.train.pixels.shape[1:] == data.test.pixels.shape[1:]
    assert len(set(data.classes)) == len(data.classes) > 1


def test_it_is_the_same_every_time_and_keeps_as_many_as_are_asked_for(load):
    few, again, whole = load(10, 8), load(10, 8), load()
    assert (len(few.train), len(few.test)) == (10, 8)
    assert few.train_fingerprint == again.train_fingerprint != whole.train_fingerprint
    assert few.test_fingerprint == again.test_fingerprint != whole.test_fingerprint
    assert few.classes == whole.classes


def test_more_than_there_are_are_refused(load):
    with pytest.raises(UsageError, match="there are only"):
        load(train=10**6)
    with pytest.raises(UsageError, match="there are only"):
        load(test=10**6)


@pytest.mark.parametrize("name", WRITTEN)
def test_one_that_is_not_there_is_named_with_its_place(name, tmp_path):
    options = {"path": "mine"} if "path" in DATASETS[name].signature.parameters else {}
    if WRITTEN[name] is nothing:
        assert DATASETS[name].load()(tmp_path, train=None, test=None)
        return
    with pytest.raises(UsageError, match=str(tmp_path)):
        DATASETS[name].load()(tmp_path, train=None, test=None, **options)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_read_in_its_file_is_what_it_is(name):
    entry = DATASETS[name]
    documented = entry.load().__doc__
    assert entry.summary == documented.partition("\n")[0]
    assert 10 < len(entry.summary) <= 120
    for option in set(entry.signature.parameters) - {*DATASETS.supplied, "download"}:
        assert re.search(rf"`{option}\b|/{option}/|\b{option} ", documented, re.IGNORECASE), option
