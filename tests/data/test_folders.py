"""What folders hold besides classes of images: the table of docs/inputs.md."""

import os

import numpy as np
import pytest
from PIL import Image
from support.inputs import rows
from torchvision.datasets import ImageFolder

from lrbench.data.folder import image_folder
from lrbench.errors import UsageError


def image(path, level=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(path, "PNG")
    return path


def write(root, classes=("cat", "dog"), parts=("train", "test")):
    for part in parts:
        for level, name in enumerate(classes):
            image(root / part / name / "0.png", 50 * level)
            image(root / part / name / "1.png", 50 * level + 1)


def load(tmp_path):
    return image_folder(tmp_path, train=None, test=None, path="mine")


def validation(root, name="val"):
    (root / "test").rename(root / name)


def upper_case(root):
    for path in list(root.rglob("0.png")):
        path.rename(path.with_suffix(".PNG"))


def nested(root):
    (root / "train/cat/deep/er").mkdir(parents=True)
    (root / "train/cat/0.png").rename(root / "train/cat/deep/er/0.png")


def links(root):
    (root / "train/dog").rename(root / "dogs")
    (root / "train/dog").symlink_to(root / "dogs")
    (root / "train/cat/0.png").rename(root / "a.png")
    (root / "train/cat/0.png").symlink_to(root / "a.png")
    (root / "train/cat/again").symlink_to(root / "train/cat")
    (root / "train/dog/up").symlink_to(root / "dogs")


def hidden_folders(root):
    (root / "train/.ipynb_checkpoints").mkdir()
    image(root / "test/.ipynb_checkpoints/0.png")
    image(root / "test/.git/0.png")
    image(root / "train/cat/.ipynb_checkpoints/0-checkpoint.png")


def left_behind(root):
    for name in ("__MACOSX", "__pycache__", "@eaDir"):
        image(root / "train" / name / "0.png")
        image(root / "test/cat" / name / "0.png")


def hidden_files(root):
    (root / "train/cat/._0.png").write_bytes(b"\0\5\x16\7")
    image(root / "train/cat/.hidden.png")
    (root / "train/.DS_Store").write_bytes(b"x")


def others(root):
    for name in ("Thumbs.db", "labels.csv", "a.gif", "b.txt"):
        (root / "train/dog" / name).write_bytes(b"x")


def empty_class(root):
    (root / "train/cow").mkdir()
    image(root / "test/cow/0.png")


def only_text(root):
    for part in ("train", "test"):
        (root / part / "cow").mkdir()
        (root / part / "cow" / "notes.txt").write_text("x")


def single(root):
    for part in ("train", "test"):
        for path in (root / part / "dog").iterdir():
            path.unlink()
        (root / part / "dog").rmdir()


def gone(root, part):
    for path in sorted((root / part).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def unprintable(root, name):
    for part in ("train", "test"):
        image(root / part / name / "0.png")


def dangling_class(root):
    for part in ("train", "test"):
        (root / part / "cow").symlink_to("nowhere")


KEPT = {
    "`val`, `valid` or `validation` where there is no `test`": [
        validation, lambda root: validation(root, "valid"), lambda root: validation(root, "validation")],
    "endings in upper case": [upper_case],
    "folders within a class folder": [nested],
    "links to files and folders": [links],
    "class folders of dots (`.ipynb_checkpoints`, `.git`)": [hidden_folders],
    "`__MACOSX`, `__pycache__`, `@eaDir`": [left_behind],
    "files of dots (`.DS_Store`, `._cat.png`)": [hidden_files],
    "files beside the class folders": [lambda root: image(root / "train/0.png"), lambda root: image(root / "a.png")],
    "files of other endings (`Thumbs.db`, `labels.csv`, `.gif`)": [others],
}  # fmt: skip
REFUSED = {
    "a class folder without images": [
        (empty_class, "train/cow "), (only_text, "train/cow "),
        (lambda root: (root / "test/cow").mkdir(), "test/cow ")],
    "a class in one split only": [(lambda root: image(root / "train/cow/0.png"), "only one of them has cow")],
    "a single class": [(single, "only one class, cat")],
    "no class folders": [(lambda root: gone(root, "train"), "mine/train .*no class folders")],
    "no folder, or none of a split": [
        (lambda root: (root / "train").rename(root / "first"), "mine: expected train/CLASS.*first, test"),
        (lambda root: root.rename(root.parent / "other"), "mine: expected train.*no folder")],
    "a class name with a line break or another sign that cannot be printed": [
        (lambda root: unprintable(root, "a\nb"), r"a\\nb"), (lambda root: unprintable(root, "a\x1b[31m"), r"a\\x1b"),
        (lambda root: unprintable(root, os.fsdecode(b"caf\xe9")), r"caf\\udce9")],
    "a class folder that is a link to nowhere": [(dangling_class, "train/cow is a link to nowhere")],
    "an image that is a link to nowhere, or no file": [
        (lambda root: (root / "train/cat/2.png").symlink_to("nowhere"), "2.png: not a file"),
        (lambda root: os.mkfifo(root / "train/cat/2.png"), "2.png: not a file")],
}  # fmt: skip
NAMES = "class names with spaces, accents and signs"


def flat(cases):
    return [pytest.param(case, id=f"{name}-{n}") for name, found in cases.items() for n, case in enumerate(found)]


def test_the_table_is_what_is_tested_here():
    table = dict(rows("Folders"))
    assert {name for name, outcome in table.items() if outcome != "refused"} == {*KEPT, NAMES}
    assert {name for name, outcome in table.items() if outcome == "refused"} == set(REFUSED)


@pytest.mark.parametrize("change", flat(KEPT))
def test_what_is_no_class_of_images_changes_nothing(tmp_path, change):
    write(tmp_path / "mine")
    change(tmp_path / "mine")
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    for split in (data.train, data.test):
        assert split.labels.tolist() == [0, 0, 1, 1]
        assert sorted(split.images[:, 0, 0, 0].tolist()) == [0, 1, 50, 51]


@pytest.mark.parametrize("case", flat(REFUSED))
def test_what_can_be_no_data_set_is_refused_in_a_line_that_names_it(tmp_path, case):
    change, words = case
    write(tmp_path / "mine")
    change(tmp_path / "mine")
    with pytest.raises(UsageError, match=words) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)
    str(error.value).encode()


def test_odd_class_names_are_kept(tmp_path):
    classes = ("Größe 2", "a|b", "don't <b>", "x$y", "猫")
    write(tmp_path / "mine", classes)
    assert load(tmp_path).classes == tuple(sorted(classes))
    assert load(tmp_path).train_fingerprint


def test_files_come_in_torchvision_s_order(tmp_path):
    root = tmp_path / "mine"
    write(root, ("b", "a", "B"))
    for number, name in enumerate(("a/x/1.png", "a/x.png", "a/x1/0.png", "a/Z.png", "b/z/y/1.png", "b/z/0.png")):
        image(root / "train" / name, 200 + number)
    theirs = ImageFolder(root / "train")
    data = load(tmp_path)
    assert data.classes == tuple(theirs.classes)
    assert data.train.labels.tolist() == theirs.targets
    assert [np.asarray(each)[0, 0, 0] for each, _ in theirs] == data.train.images[:, 0, 0, 0].tolist()
