import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import faked
from torch._subclasses import FakeTensorMode

from lrbench.data import Augmentation, ImageData, Split, to_unit
from lrbench.data.folder import image_folder
from lrbench.data.images import balanced_indices
from lrbench.data.sources import fashion_mnist, npz
from lrbench.errors import UsageError


def test_digits_are_split_by_class_and_cover_the_grey_range(digits):
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.train.images.shape[1:] == (1, 8, 8)
    assert digits.train.images.dtype == torch.uint8
    assert digits.train.images.aminmax() == (0, 255)
    assert torch.bincount(digits.test.labels).tolist() == [36] * 10
    everything = torch.cat([digits.train.images, digits.test.images]).flatten(1)
    assert len(everything.unique(dim=0)) == 1797


def test_statistics_are_exact(digits):
    images = digits.train.images.double() / 255
    mean, std = digits.statistics
    assert mean == pytest.approx(images.mean(dim=(0, 2, 3)).tolist(), abs=1e-12)
    assert std == pytest.approx(images.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_fingerprints_see_every_change(digits):
    changed = digits.train.images.clone()
    changed[7, 0, 3, 3] ^= 1
    other = ImageData("digits", Split(changed, digits.train.labels), digits.test, digits.classes)
    assert other.train_fingerprint != digits.train_fingerprint
    assert other.test_fingerprint == digits.test_fingerprint
    renamed = ImageData("digits", digits.train, digits.test, tuple("abcdefghij"))
    assert renamed.test_fingerprint != digits.test_fingerprint


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_balanced_choices_are_even_distinct_and_stable(labels, data):
    count = data.draw(st.integers(1, len(labels)))
    labels = torch.tensor(labels)
    chosen = balanced_indices(labels, count)
    assert torch.equal(chosen, balanced_indices(labels, count))
    assert len(chosen.unique()) == count
    assert torch.equal(chosen, chosen.sort().values)
    taken, there = torch.bincount(labels[chosen], minlength=5), torch.bincount(labels, minlength=5)
    for label in range(5):
        if taken[label] < there[label]:  # a class that is not exhausted is at most one behind any other
            assert taken[label] >= taken.max() - 1


def test_too_many_examples_are_refused(digits):
    with pytest.raises(UsageError, match="only 360"):
        digits.test.balanced(361)


def test_to_unit_maps_bytes_to_the_unit_interval():
    assert torch.equal(to_unit(torch.tensor([0, 255], dtype=torch.uint8)), torch.tensor([0.0, 1.0]))


def test_augmentation_shifts_and_flips_each_image_by_itself():
    image = torch.zeros(400, 1, 5, 5, dtype=torch.uint8)
    image[:, 0, 2, 1] = 9
    out = Augmentation(crop=1, flip=True)(image, torch.Generator().manual_seed(0))
    positions = {tuple(position) for position in out.nonzero()[:, 2:].tolist()}
    assert out.dtype == torch.uint8
    assert len(out.nonzero()) == 400
    assert positions == {(row, column) for row in (1, 2, 3) for column in (0, 1, 2, 3, 4)}
    again = Augmentation(crop=1, flip=True)(image, torch.Generator().manual_seed(0))
    assert torch.equal(out, again)


def test_no_augmentation_changes_nothing():
    image = torch.randint(256, (4, 3, 6, 6), dtype=torch.uint8)
    assert Augmentation()(image, torch.Generator()) is image
    assert Augmentation().noisy(to_unit(image), torch.Generator()).equal(to_unit(image))


def test_noise_has_its_standard_deviation_and_is_not_clipped():
    images = torch.rand(50, 3, 8, 8)
    added = Augmentation(noise=0.5).noisy(images, torch.Generator().manual_seed(0)) - images
    assert added.mean().item() == pytest.approx(0, abs=0.02)
    assert added.std().item() == pytest.approx(0.5, rel=0.02)
    assert (images + added).min() < 0


def write_folder(root, size=(6, 5), classes=("cat", "dog"), per_class=3, suffix="png"):
    generator = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in classes:
            folder = root / "mine" / part / name
            folder.mkdir(parents=True)
            for index in range(per_class):
                pixels = generator.integers(256, size=(size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.{suffix}")
    return root


def test_image_folder_reads_what_was_written(tmp_path):
    write_folder(tmp_path)
    data = image_folder(tmp_path, train=None, test=4, path="mine")
    assert data.classes == ("cat", "dog")
    assert data.train.images.shape == (6, 3, 5, 6)
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    expected = np.asarray(Image.open(tmp_path / "mine" / "train" / "dog" / "2.png"))
    assert np.array_equal(data.train.images[5].permute(1, 2, 0).numpy(), expected)
    assert image_folder(tmp_path, train=2, test=2, path="mine", channels=1).train.images.shape == (2, 1, 5, 6)


def test_image_folder_faults_are_named(tmp_path):
    def load(**options):
        return image_folder(tmp_path, **{"train": None, "test": None, "path": "mine", **options})

    with pytest.raises(UsageError, match="no images in"):
        load()
    write_folder(tmp_path)
    with pytest.raises(UsageError, match="channels must be 1 or 3"):
        load(channels=2)
    with pytest.raises(UsageError, match="only 6"):
        load(train=7)
    Image.new("RGB", (9, 9)).save(tmp_path / "mine" / "train" / "dog" / "odd.png")
    with pytest.raises(UsageError, match=r"odd\.png: images must all have one size"):
        load()
    (tmp_path / "mine" / "train" / "dog" / "odd.png").write_bytes(b"not an image")
    with pytest.raises(UsageError, match=r"odd\.png: not a readable image"):
        load()
    (tmp_path / "mine" / "train" / "dog" / "odd.png").unlink()
    (tmp_path / "mine" / "test" / "cat").rename(tmp_path / "mine" / "test" / "cow")
    with pytest.raises(UsageError, match="cat, cow"):
        load()


def arrays(**changes):
    generator = np.random.default_rng(0)
    content = {
        "x_train": generator.integers(256, size=(8, 6, 6, 3), dtype=np.uint8),
        "y_train": np.arange(8) % 4,
        "x_test": generator.integers(256, size=(4, 6, 6, 3), dtype=np.uint8),
        "y_test": np.arange(4),
    }
    return {**content, **changes}


@pytest.mark.parametrize(
    ("shape", "channels"), [((8, 6, 6), 1), ((8, 6, 6, 1), 1), ((8, 6, 6, 3), 3), ((8, 3, 6, 6), 3), ((8, 1, 6, 6), 1)]
)
def test_npz_takes_the_usual_layouts(tmp_path, shape, channels):
    train = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", **arrays(x_train=train, x_test=train[:4]))
    data = npz(tmp_path, train=None, test=None, path="mine.npz")
    assert data.train.images.shape == (8, channels, 6, 6)
    assert data.name == "mine"
    assert len(data.classes) == 4
    as_written = (
        train[0].reshape(channels, 6, 6) if shape[1] in {1, 3} or len(shape) == 3 else train[0].transpose(2, 0, 1)
    )
    assert np.array_equal(data.train.images[0].numpy(), as_written)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((8, 6, 6), dtype=np.float32)}, "x_train must be uint8"),
        ({"y_train": np.zeros(7, dtype=np.int64)}, "8 images and y_train 7 labels"),
        ({"y_train": np.full(8, -1)}, "y_train must hold integers"),
        ({"y_train": np.zeros(8)}, "y_train must hold integers"),
        ({"x_test": np.zeros((4, 5, 5, 3), dtype=np.uint8)}, "differ in shape"),
    ],
)
def test_npz_faults_are_named(tmp_path, changes, message):
    np.savez(tmp_path / "mine.npz", **arrays(**changes))
    with pytest.raises(UsageError, match=message):
        npz(tmp_path, train=None, test=None, path="mine.npz")


def test_npz_that_is_none_or_would_run_code_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        npz(tmp_path, train=None, test=None, path="nowhere.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UsageError, match="cannot read"):
        npz(tmp_path, train=None, test=None, path="text.npz")
    np.savez(tmp_path / "object.npz", **arrays(y_train=np.array([{}] * 8, dtype=object)))
    with pytest.raises(UsageError, match="cannot read"):
        npz(tmp_path, train=None, test=None, path="object.npz")
    np.savez(tmp_path / "less.npz", x_train=np.zeros(1))
    with pytest.raises(UsageError, match="must hold the arrays"):
        npz(tmp_path, train=None, test=None, path="less.npz")


def test_fashion_mnist_reads_the_original_format(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(256, size=(20, 28, 28), dtype=np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 10
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, 20, 28, 28) + images.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 20) + labels.tobytes())
    data = fashion_mnist(tmp_path, train=None, test=10)
    assert np.array_equal(data.train.images[:, 0].numpy(), images)
    assert sorted(data.test.labels.tolist()) == list(range(10))
    assert data.classes[0] == "T-shirt/top"


def test_a_missing_fashion_mnist_says_where_it_belongs(tmp_path):
    with pytest.raises(UsageError, match="FashionMNIST"):
        fashion_mnist(tmp_path, train=None, test=None)


def test_the_digits_are_those_of_scikit_learn(digits):
    from sklearn.datasets import load_digits  # noqa: PLC0415

    bunch = load_digits()
    ours = torch.cat([digits.test.images, digits.train.images]).flatten(1)
    theirs = torch.from_numpy(np.round(bunch.images * (255 / 16)).astype(np.uint8)).flatten(1)
    columns = [torch.cat([images, labels[:, None].to(torch.uint8)], dim=1) for images, labels in (
        (ours, torch.cat([digits.test.labels, digits.train.labels])), (theirs, torch.from_numpy(bunch.target)),
    )]  # fmt: skip
    assert sorted(map(tuple, columns[0].tolist())) == sorted(map(tuple, columns[1].tolist()))


def test_a_batch_stays_on_the_device_and_nothing_is_read():
    mode = FakeTensorMode()
    levels = faked.on_cuda(mode, torch.zeros(8, 3, 6, 6, dtype=torch.uint8))
    with mode:
        augmented = Augmentation(2, flip=True)(levels[:4], None, slice(4, 8), 8)
        assert to_unit(augmented).device.type == "cuda"
