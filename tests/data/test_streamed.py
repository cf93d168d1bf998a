"""Images that stay on disk: the same pixels as in memory, read no sooner and no oftener than they are needed."""

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.functional import center_crop, resize

import lrbench
from lrbench.data import folder as folder_module
from lrbench.data import mapped as mapped_module
from lrbench.data.folder import image_folder
from lrbench.data.images import Split
from lrbench.data.streamed import AHEAD, Streamed, ahead
from lrbench.errors import UsageError

pytestmark = pytest.mark.usefixtures("undrawn")

KEEP = ["memory", "disk", "stream"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LRBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_folder(root, sides, counts=(6, 4), seed=0):
    """Write a folder of two classes whose images have the given (height, width), in turn."""
    random = np.random.default_rng(seed)
    for part, count in zip(("train", "test"), counts, strict=True):
        for label in ("cat", "dog"):
            (root / part / label).mkdir(parents=True)
            for number in range(count):
                height, width = sides[number % len(sides)]
                level = 60 if label == "cat" else 190
                pixels = random.integers(level - 50, level + 50, (height, width, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / label / f"{number}.png")


def load(root, **options):
    return image_folder(root, train=None, test=None, path="mine", **options)


@pytest.mark.parametrize("keep", ["disk", "stream"])
def test_pixels_labels_and_choices_are_those_of_memory(tmp_path, keep):
    write_folder(tmp_path / "mine", [(8, 8)])
    memory, other = load(tmp_path), load(tmp_path, keep=keep)
    for one, two in ((memory.train, other.train), (memory.test, other.test)):
        assert torch.equal(one.pixels, two.pixels)
        assert torch.equal(one.labels, two.labels)
        assert torch.equal(one.balanced(3).pixels, two.balanced(3).pixels)
        assert torch.equal(one[1:5][torch.tensor([2, 0])].pixels, two[1:5][torch.tensor([2, 0])].pixels)
        for (x, y), (x_other, y_other) in zip(one.batches(4), two.batches(4), strict=True):
            assert torch.equal(x, x_other)
            assert torch.equal(y, y_other)
    assert memory.statistics == other.statistics
    assert memory.channels == other.channels


@pytest.mark.parametrize("keep", KEEP)
def test_images_of_any_size_are_brought_to_one_as_torchvision_does(tmp_path, keep):
    write_folder(tmp_path / "mine", [(20, 31), (40, 17)])
    found = load(tmp_path, size=14, resize=16, keep=keep).train.pixels
    path = tmp_path / "mine/train/cat/0.png"
    expected = np.asarray(center_crop(resize(Image.open(path).convert("RGB"), [16]), [14]))
    assert found.shape == (12, 3, 14, 14)
    assert torch.equal(found[0], torch.from_numpy(expected.copy()).permute(2, 0, 1))


def test_nothing_is_read_before_it_is_asked_for_and_a_decoded_file_serves_again(tmp_path, monkeypatch):
    write_folder(tmp_path / "mine", [(8, 8)])
    load(tmp_path, keep="disk")
    streamed = load(tmp_path, keep="stream")
    calls = []
    decode = folder_module.decode
    monkeypatch.setattr(folder_module, "decode", lambda *given: calls.append(given) or decode(*given))
    part = streamed.train[2:6].balanced(2)
    assert not calls
    assert len(part.pixels) == 2 == len(calls)
    calls.clear()
    again = load(tmp_path, keep="disk")
    _ = again.train.pixels, again.test.pixels
    assert len(calls) == 2  # the first image of each split says what size they have


def test_a_changed_file_is_another_data_set(tmp_path):
    write_folder(tmp_path / "mine", [(8, 8)])
    prints = [load(tmp_path, keep=keep).train_fingerprint for keep in ("disk", "stream")]
    Image.new("RGB", (8, 8)).save(tmp_path / "mine/train/cat/0.png")
    for keep, before in zip(("disk", "stream"), prints, strict=True):
        now = load(tmp_path, keep=keep)
        assert now.train_fingerprint != before
        assert not now.train.pixels[0].any()


def test_a_choice_has_another_fingerprint_than_the_whole(tmp_path):
    write_folder(tmp_path / "mine", [(8, 8)])
    whole = load(tmp_path, keep="stream")
    part = image_folder(tmp_path, train=6, test=None, path="mine", keep="stream")
    assert part.train_fingerprint != whole.train_fingerprint
    assert part.test_fingerprint == whole.test_fingerprint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keep": "cloud"}, "keep must be one of memory, disk, stream"),
        ({"size": 0}, "size must be from 1"),
        (
            {"size": 8, "interpolation": "cubic"},
            "interpolation must be one of nearest, nearest-exact, bilinear, bicubic",
        ),
        ({"size": 8, "resize": 4}, "resize must be at least size"),
        ({"resize": 9}, "resize must be at least size"),
        ({"keep": "stream"}, "must all have one size, 8x8.*or give the data set a `size`"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, options, words):
    write_folder(tmp_path / "mine", [(8, 8), (9, 8)])
    with pytest.raises(UsageError, match=words):
        load(tmp_path, **options).train.pixels  # noqa: B018


def test_too_little_room_is_said_before_it_is_used_up(tmp_path, monkeypatch, cache):
    write_folder(tmp_path / "mine", [(8, 8)])
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(mapped_module.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(UsageError, match="set LRBENCH_CACHE to another folder, or `keep: stream`"):
        load(tmp_path, keep="disk")
    assert not list(cache.iterdir())


def test_a_damaged_file_of_decoded_images_is_said(tmp_path, cache):
    write_folder(tmp_path / "mine", [(8, 8)])
    load(tmp_path, keep="disk")
    for path in cache.glob("*.npy"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError, match=r"is damaged .*; remove it"):
        load(tmp_path, keep="disk")


def test_a_decoding_that_is_cut_off_leaves_nothing(tmp_path, cache):
    write_folder(tmp_path / "mine", [(8, 8)])
    (tmp_path / "mine/train/dog/3.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match="not a readable image"):
        load(tmp_path, keep="disk")
    assert not list(cache.rglob("*.npy"))


@given(st.integers(0, 20))
def test_work_done_ahead_comes_in_order(count):
    assert list(ahead(lambda number=number: number for number in range(count))) == list(range(count))


def test_work_goes_ahead_of_whoever_takes_it_and_no_further():
    begun = []
    stream = ahead(lambda number=number: begun.append(number) for number in range(50))
    next(stream)
    deadline = time.monotonic() + 5
    while len(begun) < AHEAD + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(begun) == AHEAD + 1
    threads = threading.active_count()
    stream.close()
    assert threading.active_count() < threads


def test_an_error_ahead_reaches_whoever_takes_it():
    def fail():
        raise UsageError("damaged")

    stream = ahead([lambda: 1, fail, lambda: 3])
    assert next(stream) == 1
    with pytest.raises(UsageError, match="damaged"):
        next(stream)


def test_a_split_moves_without_reading():
    def refuse(_index):
        raise AssertionError

    lazy = Streamed(refuse, "test", torch.arange(4), (1, 2, 2))
    assert len(Split(lazy, torch.zeros(4, dtype=torch.int64)).to(torch.device("cpu"))[1:3]) == 2
    assert lazy.shape == (4, 1, 2, 2)


SUITE = """\
name: large
data: {name: image-folder, path: mine, size: 32, KEEP}
models:
  net: {arch: resnet18, width: 8}
  lr: {extends: net, lr_layers: {layer3: 3}}
training: {epochs: 2, batch_size: 4, warmup_accuracy: 0.0, augment: {crop: 4, flip: true}}
threat_model: {eps: [8/255], batch_size: 3, part: 3}
attacks: [fgsm, {name: deepfool, steps: 2}]
diagnostics:
  variance_ratio: {layers: [layer3, avgpool], k: [1, 2]}
  embeddings: {layer: avgpool, dims: [2]}
  clusters: {layer: avgpool}
  masking: {samples: 4, steps: 2, queries: 4, draws: 2, unbounded: 2}
"""


@pytest.mark.slow
def test_a_suite_gives_the_same_wherever_its_images_are_kept(tmp_path):
    write_folder(tmp_path / "mine", [(70, 90), (64, 64)], counts=(8, 5))
    results = {}
    for keep in KEEP:
        path = tmp_path / f"{keep}.yaml"
        path.write_text(SUITE.replace("KEEP", f"keep: {keep}"))
        board = lrbench.run(path, tmp_path / keep, data_dir=tmp_path)
        assert not board.failures
        results[keep] = (tmp_path / keep / "results.csv").read_bytes()
    assert results["memory"] == results["disk"] == results["stream"]
