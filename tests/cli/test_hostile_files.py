"""Data files and checkpoints that are damaged or lie in wait: a line that says so, at once, nothing run or written."""

import gzip
import io
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file
from support.hostile import refused

from lrbench.data.sources import npz as read_npz
from lrbench.errors import UsageError
from lrbench.models import load_weights

SUITE = """\
name: tiny
data: DATA
models: {net: {arch: resnet18, width: 4, WEIGHTS}}
threat_model: {samples: 4}
attacks: [fgsm]
"""


class Evil:
    """Makes a file where it is unpickled."""

    def __reduce__(self):
        return (open, ("hacked", "w"))


def arrays(**changes):
    rng = np.random.default_rng(0)
    whole = {
        "x_train": rng.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8),
        "y_train": np.arange(20) % 4,
        "x_test": rng.integers(0, 256, (8, 3, 8, 8), dtype=np.uint8),
        "y_test": np.arange(8) % 4,
    }
    return whole | changes


def npz_bytes(**changes):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays(**changes))
    return buffer.getvalue()


def npy_header(shape, descr="|u1"):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def members(**changes):
    content = {}
    for name, array in arrays().items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        content[f"{name}.npy"] = buffer.getvalue()
    return {**content, **{f"{name}.npy": value for name, value in changes.items()}}


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


NPZ = {
    "empty": (lambda: b"", "cannot read"),
    "text": (lambda: b"not an archive", "cannot read"),
    "truncated": (lambda: npz_bytes()[:-300], "cannot read"),
    "flipped": (lambda: flipped(npz_bytes()), "cannot read"),
    "a bare array": (lambda: members()["x_train.npy"], "cannot read"),
    "a pickle": (lambda: pickle.dumps(Evil()), "cannot read"),
    "objects": (lambda: npz_bytes(y_train=np.array([Evil()] * 20, dtype=object)), "not the array"),
    "no labels": (lambda: zipped({"x_train.npy": members()["x_train.npy"]}), "must hold the arrays"),
    "a bomb": (lambda: zipped(members(x_train=npy_header((1 << 30,)) + bytes(300 << 20)), compresslevel=9), "bomb"),
    "a header that claims too much": (lambda: zipped(members(x_train=npy_header((10**12, 8, 8)))), "not the array"),
    "a header that is code": (
        lambda: zipped(members(x_train=b"\x93NUMPY\x01\x00\x30\x00" + b"{'shape': __import__('os')}".ljust(48))),
        "cannot read"),
    "floats": (lambda: npz_bytes(x_train=np.zeros((20, 3, 8, 8))), "must be uint8"),
    "no pixels": (lambda: npz_bytes(x_train=np.zeros((20, 3, 0, 8), np.uint8)), "must be uint8"),
    "huge labels": (lambda: npz_bytes(y_train=np.full(20, 2**40)), "at most 100,000 classes"),
    "negative labels": (lambda: npz_bytes(y_train=np.full(20, -1)), "integers >= 0"),
    "too few labels": (lambda: npz_bytes(y_train=np.zeros(19, int)), "19 labels"),
}  # fmt: skip


def png(size=(8, 8), **options):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "PNG", **options)
    return buffer.getvalue()


def png_claiming(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def png_with_a_text_bomb():
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "x" * (80 << 20), zip=True)
    return png(pnginfo=info)


def saved(**options):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, **options)
    return buffer.getvalue()


IMAGES = {
    "empty": (lambda: b"", "not a readable image"),
    "text": (lambda: b"<svg/>", "not a readable image"),
    "truncated": (lambda: png()[:45], "not a readable image"),
    "a broken checksum": (lambda: png()[:20] + b"\x55" + png()[21:], "not a readable image"),
    "a pixel bomb": (lambda: png_claiming(60_000, 60_000), "not a readable image"),
    "many pixels": (lambda: png_claiming(8_000, 8_000), "too many"),
    "a text bomb": (png_with_a_text_bomb, "not a readable image"),
    "PostScript": (lambda: saved(format="EPS"), "not a readable image"),
    "a PDF": (lambda: saved(format="PDF"), "not a readable image"),
    "another size": (lambda: png((9, 8)), "one size"),
}


def torch_bytes(content, **options):
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def safetensors_claiming(length, header=b"{}"):
    return struct.pack("<Q", length) + header


def tensors():
    return {"weight": torch.ones(3, 3)}


def torch_bomb():
    """Make a torch file whose storage is deflated zeros: 400 MB in 400 kB."""
    inside = zipfile.ZipFile(io.BytesIO(torch_bytes({"weight": torch.ones(10)})))
    content = {name: inside.read(name) for name in inside.namelist()}
    storage = next(name for name in content if "/data/" in name)
    return zipped(content | {storage: bytes(400 << 20)}, compresslevel=9)


CHECKPOINTS = {
    "empty.pt": (lambda: b"", "cannot read weights"),
    "text.pt": (lambda: b"not weights\n", "author's code"),
    "truncated.pt": (lambda: torch_bytes(tensors())[:-100], "cannot read weights"),
    "changed.pt": (
        lambda: torch_bytes(tensors()).replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"), "author's code"),
    "pickle.pt": (lambda: pickle.dumps(Evil()), "author's code"),
    "evil.pt": (lambda: torch_bytes({"weight": Evil()}), "author's code"),
    "evil-legacy.pt": (
        lambda: torch_bytes({"weight": Evil()}, _use_new_zipfile_serialization=False), "author's code"),
    "module.pt": (lambda: torch_bytes(torch.nn.Linear(3, 3)), "author's code"),
    "list.pt": (lambda: torch_bytes([torch.ones(3)]), "no state dict"),
    "numbers.pt": (lambda: torch_bytes({"weight": 3}), "no state dict"),
    "other.pt": (lambda: torch_bytes(tensors()), "does not fit the model"),
    "names.pt": (lambda: torch_bytes({"\x1b[31m\nweight": torch.ones(3)}), "does not fit the model"),
    "bomb.pt": (torch_bomb, "bomb"),
    "empty.safetensors": (lambda: b"", "cannot read weights"),
    "huge-header.safetensors": (lambda: safetensors_claiming(2**62), "cannot read weights"),
    "nonsense.safetensors": (lambda: safetensors_claiming(8, b"nonsense"), "cannot read weights"),
    "pickle.safetensors": (lambda: pickle.dumps(Evil()), "cannot read weights"),
    "claims-too-much.safetensors": (
        lambda: safetensors_claiming(61, b'{"a":{"dtype":"F32","shape":[99999999],"data_offsets":[0,4]}}') + bytes(4),
        "cannot read weights"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refuse(folder, capsys, data, weights="train: true"):
    (folder / "suite.yaml").write_text(SUITE.replace("DATA", data).replace("WEIGHTS", weights))
    before = sorted(folder.rglob("*"))
    said = refused(["run", "suite.yaml", "--data-dir", str(folder)], capsys)
    assert sorted(folder.rglob("*")) == before
    return said


@pytest.mark.parametrize("name", NPZ)
def test_a_hostile_npz_is_refused(name, folder, capsys):
    make, message = NPZ[name]
    (folder / "mine.npz").write_bytes(make())
    assert message in refuse(folder, capsys, "{name: npz, path: mine.npz}")


@pytest.mark.parametrize("name", IMAGES)
def test_a_hostile_image_is_refused(name, folder, capsys):
    make, message = IMAGES[name]
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            (folder / "mine" / part / label).mkdir(parents=True)
            for index in range(2):
                (folder / "mine" / part / label / f"{index}.png").write_bytes(png())
    (folder / "mine/train/dog/2.png").write_bytes(make())
    said = refuse(folder, capsys, "{name: image-folder, path: mine}")
    assert message in said
    assert "dog/2.png" in said


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_hostile_checkpoint_is_refused(name, folder, capsys):
    make, message = CHECKPOINTS[name]
    (folder / name).write_bytes(make())
    (folder / "mine.npz").write_bytes(npz_bytes(**{
        f"{kind}_{part}": value for part, n in (("train", 8), ("test", 4))
        for kind, value in (("x", np.zeros((n, 3, 32, 32), np.uint8)), ("y", np.arange(n) % 4))
    }))  # fmt: skip
    assert message in refuse(folder, capsys, "{name: npz, path: mine.npz}", f"weights: {name}")


def test_damaged_fashion_mnist_is_refused(folder, capsys):
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, 10, 28, 28) + bytes(100))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 10) + bytes(10))
    assert "are damaged" in refuse(folder, capsys, "fashion-mnist")
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, 10, 5, 5) + bytes(250))
    assert "do not belong together" in refuse(folder, capsys, "fashion-mnist")
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(gzip.compress(b"archive"))
    assert "are damaged" in refuse(folder, capsys, "fashion-mnist")


def test_a_file_with_every_byte_flipped_in_turn_is_read_or_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"weight": torch.ones(2, 2), "bias": torch.ones(2)}, path)
    pt = tmp_path / "w.pt"
    pt.write_bytes(torch_bytes({"weight": torch.ones(2, 2), "bias": torch.ones(2)}))
    archive = tmp_path / "w.npz"
    archive.write_bytes(npz_bytes())
    said = []
    for file, read in (
        (path, lambda: load_weights(torch.nn.Linear(2, 2), path)),
        (pt, lambda: load_weights(torch.nn.Linear(2, 2), pt)),
        (archive, lambda: read_npz(tmp_path, train=None, test=None, path="w.npz")),
    ):
        whole = file.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 400)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
            try:
                read()
            except UsageError as error:
                said.append(str(error))
    assert said
    assert all(text.isprintable() for text in said)


def test_a_folder_of_results_from_a_stranger_is_refused(folder, capsys):
    run = folder / "run"
    run.mkdir()
    (run / "results.csv").write_text("model,value\nx,1\n")
    assert "no such suite file" in refused(["show", "run"], capsys)
    (run / "suite.yaml").write_text("a: &a [*a]")
    assert "aliases" in refused(["show", "run"], capsys)
    (run / "suite.yaml").write_text("name: x\ndata: digits\nmodels: {net: {arch: resnet18}}\n")
    assert "must begin with the columns" in refused(["show", "run"], capsys)
    (run / "results.csv").write_bytes(b"\xff\xfe\x00" * 100)
    assert "cannot read the results" in refused(["show", "run"], capsys)
