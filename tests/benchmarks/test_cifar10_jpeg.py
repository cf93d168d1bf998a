import io

import pytest
from PIL import Image
from support.cifar import write_cifar
from torchvision.datasets import CIFAR10

from benchmarks import cifar10_jpeg
from benchmarks.cifar10_jpeg import compared, content, main


@pytest.fixture
def root(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch, per_file=30)
    return tmp_path


def test_each_image_is_encoded_once_and_numbered_within_its_class_in_the_order_of_the_original(root, capsys):
    main([str(root)])
    said = capsys.readouterr().out
    assert said.count("not the boards' images to the bit") == 2
    for split, train in (("train", True), ("test", False)):
        peer = CIFAR10(root, train=train)
        of_class = [pixels for pixels, label in zip(peer.data, peer.targets, strict=True) if label == 3]
        files = sorted((root / "cifar10-jpeg" / split / "thing 3").iterdir())
        assert [path.name for path in files] == [f"{number:04}.jpg" for number in range(len(of_class))]
        for path, pixels in zip(files, of_class, strict=True):
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "JPEG")
            assert path.read_bytes() == encoded.getvalue(), "Pillow's default is quality 75"


def test_it_says_whether_they_are_the_images_of_the_boards(root, monkeypatch):
    main([str(root)])
    folder = root / "cifar10-jpeg/test"
    monkeypatch.setitem(cifar10_jpeg.CONTENT, "test", content(folder, named=False))
    monkeypatch.setitem(cifar10_jpeg.NAMED, "test", content(folder, named=True))
    assert compared(folder, "test") == "the boards' images, by the same names"
    (folder / "thing 0/0001.jpg").rename(folder / "thing 0/x.jpg")
    assert compared(folder, "test").startswith("the boards' images, by other names")
    (folder / "thing 0/x.jpg").rename(folder / "thing 1/x.jpg")
    assert compared(folder, "test").startswith("not the boards' images")
