import pytest
import torch
from support.cifar import COARSE, FINE, GROUP_OF, write_cifar
from torchvision.datasets import CIFAR10

from lrbench.data.cifar import cifar10, cifar100, cifar100_coarse
from lrbench.errors import UsageError


@pytest.fixture
def root(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch)
    return tmp_path


def test_cifar10_is_torchvision_s(root):
    data = cifar10(root, train=None, test=50)
    assert data.train.images.shape == (1000, 3, 32, 32)
    assert data.train.images.dtype == torch.uint8
    assert data.test.labels.bincount().tolist() == [5] * 10
    assert data.classes[3] == "thing 3"
    peer = CIFAR10(root, train=True)
    assert (data.train.images[7].permute(1, 2, 0).numpy() == peer.data[7]).all()


def test_cifar100_has_a_hundred_classes(root):
    data = cifar100(root, train=None, test=None)
    assert data.classes == tuple(FINE)
    assert data.train.fine is None


def test_coarse_labels_come_with_the_fine_ones(root):
    data = cifar100_coarse(root, train=100, test=None)
    assert data.classes == tuple(COARSE)
    assert data.fine_classes == tuple(FINE)
    assert len(data.train) == 100
    assert data.train.fine.bincount().tolist() == [1] * 100
    for split in (data.train, data.test, data.to(torch.device("cpu")).test):
        assert split.labels.tolist() == [GROUP_OF[label] for label in split.fine.tolist()]


def test_a_missing_or_damaged_set_says_what_would_help(root, tmp_path):
    with pytest.raises(
        UsageError, match=r"no cifar10 in .*--data-dir, or set `data: \{name: cifar10, download: true\}`"
    ):
        cifar10(tmp_path / "nowhere", train=None, test=None)
    file = root / "cifar-100-python" / "train"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(UsageError, match="no cifar100-coarse in"):
        cifar100_coarse(root, train=None, test=None)
