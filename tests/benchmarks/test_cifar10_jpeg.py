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
    assert not list(root.glob("cifar10-jpeg.*")), "nothing half-made stays"
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


def test_a_file_more_is_not_the_boards_images(root, monkeypatch):
    main([str(root)])
    folder = root / "cifar10-jpeg/test"
    monkeypatch.setitem(cifar10_jpeg.CONTENT, "test", content(folder, named=False))
    (folder / "thing 0/more.png").write_bytes(b"")
    assert compared(folder, "test").startswith("not the boards' images")


def test_what_is_there_is_not_written_again(root, capsys):
    (mine := root / "cifar10-jpeg/test/thing 0/0000.jpg").parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    main([str(root)])
    assert "is there already; nothing is written" in capsys.readouterr().out
    assert mine.read_bytes() == b"mine"


@pytest.mark.parametrize("damaged", ["data_batch_1", "test_batch"])
def test_what_cannot_be_made_is_said_in_a_line_and_leaves_nothing(root, monkeypatch, damaged):
    monkeypatch.setattr(CIFAR10, "download", lambda _: None)
    (root / CIFAR10.base_folder / damaged).write_bytes(b"")
    with pytest.raises(SystemExit, match=r"cannot make .*cifar-10-python\.tar\.gz, to be put into"):
        main([str(root)])
    assert [path.name for path in root.iterdir() if "jpeg" in path.name] == []
