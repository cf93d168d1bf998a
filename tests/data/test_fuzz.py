"""Arrays and folders drawn at random: the data set that their maker meant, or a line that names what is wrong.

--draws 2000 draws more of them than the 200 of every run.
"""

import io
import warnings
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from lrbench.data.decode import Shape, decode
from lrbench.data.folder import image_folder
from lrbench.data.sources import npz
from lrbench.errors import UsageError

DRAWS = settings.get_profile("draws")


def outcome(load, named):
    """What `load` gives, or its error in a few lines that name `named`; nothing else may come of it, nor be heard."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            found = load()
        except UsageError as error:
            found = str(error)
            assert len(found.splitlines()) <= 3
            assert all(line.isprintable() for line in found.splitlines())
            assert named in found
    assert not heard
    return found


CODINGS = {
    "uint8": (lambda p: p, None),
    "unit": (lambda p: p / 255, None),
    "unit, single": (lambda p: (p / 255).astype(np.float32), None),
    "bytes as float": (lambda p: p.astype(np.float32), None),
    "bytes as int64": (lambda p: p.astype(np.int64), None),
    "bytes as uint16": (lambda p: p.astype(np.uint16), [0, 255]),
    "16 bits": (lambda p: p.astype(np.uint16) * 257, [0, 65535]),
    "big-endian": (lambda p: p.astype(">u2") * 257, [0, 65535]),
    "signed unit": (lambda p: p / 127.5 - 1, [-1, 1]),
    "percent": (lambda p: p / 2.55, [0, 100]),
    "standardised": (lambda p: (p - 100.0) / 50, [-2, 3.1]),
}
"""How pixels are written, and the range that says so."""

SPOILT = {
    "nan": lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, np.nan, x),
    "objects": lambda x: x.astype(object),
    "complex": lambda x: x.astype(complex),
    "flat": lambda x: x.reshape(len(x), -1),
    "none": lambda x: x[:0],
    "one less": lambda x: x[:-1],
    "text": lambda x: x.astype("U6"),
}

LABELS = {
    "int64": lambda y: y,
    "uint8": lambda y: y.astype(np.uint8),
    "column": lambda y: y.astype(np.int32)[:, None],
    "floats": lambda y: y.astype(float),
    "one-hot": lambda y: np.eye(3)[y],
    "from 1": lambda y: y + 1,
    "negative": lambda y: y - 1,
    "text": lambda y: y.astype(str),
}
GOOD_LABELS = {"int64", "uint8", "column"}
NAMES = [("x_{}", "y_{}"), ("{}_images", "{}_labels"), ("X_{}", "Y_{}"), ("{}X", "{}Y"), ("inputs_{}", "y_{}")]


@DRAWS
@given(st.data())
def test_arrays_are_what_their_maker_meant_or_refused(data):
    draw = data.draw
    channels, height, width = (draw(st.sampled_from([1, 1, 3, 3, 4, 2, 7])) for _ in range(3))
    if draw(st.booleans()):
        height, width = (draw(st.integers(5, 9)) for _ in range(2))
    layout = draw(st.sampled_from(["NHW", "NHWC", "NCHW"]))
    if layout == "NHW":
        channels = 1
    said = draw(st.sampled_from([None, layout])) if layout != "NHW" else None
    # Two or seven channels beside a side of 1, 3 or 4 look like images of so many channels; such is to be said.
    side = height if layout == "NHWC" else width
    assume(said or channels in {1, 3, 4} or side not in {1, 3, 4})
    top = draw(st.sampled_from([256, 256, 60]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    pixels = {part: rng.integers(top, size=(n, channels, height, width)) for part, n in (("train", 7), ("test", 4))}
    pixels["train"][0, 0, 0, 0] = top - 1
    coding = draw(st.sampled_from(sorted(CODINGS)))
    write, data_range = CODINGS[coding]
    data_range = draw(st.sampled_from([None, data_range]))
    labels = draw(st.sampled_from([*sorted(GOOD_LABELS) * 3, *sorted(LABELS)]))
    spoilt = draw(st.sampled_from([None] * 12 + sorted(SPOILT)))
    images, classes = draw(st.sampled_from(NAMES))
    content = {}
    for part, each in pixels.items():
        arranged = {"NHW": each[:, 0], "NHWC": each.transpose(0, 2, 3, 1), "NCHW": each}[layout]
        coded = write(arranged.astype(np.uint8))
        content[images.format(part)] = SPOILT[spoilt](coded) if spoilt else coded
        content[classes.format(part)] = LABELS[labels](np.arange(len(each)) % 3)
    options = {"layout": said, "data_range": data_range}
    with TemporaryDirectory() as folder:
        np.savez(Path(folder) / "mine.npz", **content)
        found = outcome(lambda: npz(Path(folder), train=None, test=None, path="mine.npz", **options), "mine.npz")
    told_apart = (side in {1, 3, 4}) != (channels in {1, 3, 4}) or channels == height == width == 1
    known = coding in {"uint8", "unit", "unit, single"} or (top == 256 and CODINGS[coding][1] in (None, [0, 65535]))
    good = labels in GOOD_LABELS and spoilt is None and "inputs" not in images
    plain = good and (layout == "NHW" or said or told_apart) and (data_range or known)
    assert isinstance(found, str) != bool(plain), found
    if plain:
        assert np.array_equal(found.train.images.numpy(), pixels["train"])
        assert np.array_equal(found.test.images.numpy(), pixels["test"])
        assert found.test.labels.tolist() == [0, 1, 2, 0]
        assert found.classes == ("0", "1", "2")


def transparent(level):
    image = Image.new("RGBA", (4, 3), (level, level, level, 255))
    image.putpixel((1, 1), (9, 9, 9, 0))
    return image


def palette(level):
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, level, level, level])
    return image


def wide(level):
    return Image.fromarray(np.full((3, 4), level * 256 + 99, np.uint16))


IMAGES = {
    "grey.png": lambda level: Image.new("L", (4, 3), level),
    "colour.PNG": lambda level: Image.new("RGB", (4, 3), (level,) * 3),
    "alpha.png": lambda level: Image.new("LA", (4, 3), (level, 255)),
    "clear.png": transparent,
    "palette.png": palette,
    "wide.png": wide,
    "wide.tiff": wide,
    "exact.webp": lambda level: Image.new("RGB", (4, 3), (level,) * 3),
    "ünder a.bmp": lambda level: Image.new("L", (4, 3), level),
    "turned.png": lambda level: Image.new("L", (3, 4), level),
    "deep/er/x.png": lambda level: Image.new("L", (4, 3), level),
}
CLUTTER = [
    ".ipynb_checkpoints/a.png", ".DS_Store", "__MACOSX/._a.png", "Thumbs.db", "notes.txt", "cat/._a.png",
    "cat/Thumbs.db", "cat/.ipynb_checkpoints/a.png", "dog/a.gif", "stray.png", "dog/@eaDir/a.png"]  # fmt: skip
FAULTS = {
    "cat/none.png": b"",
    "dog/text.jpg": b"hello",
    "cat/cut.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "cow/notes.txt": b"no class of images",
}
CLASSES = ["cat", "dog", "Ärger", "a b", "x$y", "o|o", "<b>"]


@cache
def content(file, shade):
    """Bytes of one of IMAGES."""
    exif = Image.Exif()
    if file.startswith("turned"):
        exif[0x0112] = 6
    buffer = io.BytesIO()
    options = {"lossless": True} if file.endswith("webp") else {"exif": exif} if len(exif) else {}
    IMAGES[file](shade).save(buffer, Image.registered_extensions()[Path(file).suffix.lower()], **options)
    return buffer.getvalue()


@DRAWS
@given(st.data())
def test_folders_are_what_their_maker_meant_or_refused(data):
    draw = data.draw
    classes = ["cat", "dog", *draw(st.lists(st.sampled_from(CLASSES[2:]), max_size=1, unique=True))]
    files = st.dictionaries(
        st.sampled_from(sorted(IMAGES)), st.sampled_from([0, 1, 39, 128, 254, 255]), min_size=1, max_size=4
    )
    held = {part: {name: draw(files) for name in classes} for part in ("train", "test")}
    clutter = draw(st.lists(st.sampled_from(CLUTTER), max_size=2, unique=True))
    fault = draw(st.sampled_from([None] * 8 + sorted(FAULTS)))
    channels, keep = draw(st.sampled_from([1, 3])), draw(st.sampled_from(["memory", "stream"]))
    with TemporaryDirectory() as folder:
        root = Path(folder) / "mine"
        for part, listed in held.items():
            for name, shades in listed.items():
                for file, shade in shades.items():
                    write(root / part / name / file, content(file, shade))
            for each in clutter:
                write(root / part / each, b"clutter")
        if fault:
            write(root / "train" / fault, FAULTS[fault])
        named = fault.split("/")[0] if fault else "nothing: this is a data set"
        load = lambda: read(Path(folder), channels, keep)  # noqa: E731
        found = outcome(load, named)
    assert isinstance(found, str) == bool(fault)
    if not fault:
        assert found[0] == tuple(sorted(classes))
        assert found[1:] == [expected(held[part], sorted(classes)) for part in ("train", "test")]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def read(root, channels, keep):
    data = image_folder(root, train=None, test=None, path="mine", channels=channels, keep=keep)
    return [data.classes, *(summary(split, channels) for split in (data.train, data.test))]


def summary(split, channels):
    """Class, level at the first pixel and at the one that may be clear, in order."""
    pixels = split.pixels
    assert pixels.shape[1:] == (channels, 3, 4)
    assert (pixels == pixels[:, :1]).all()
    return sorted(zip(split.labels.tolist(), pixels[:, 0, 0, 0].tolist(), pixels[:, 0, 1, 1].tolist(), strict=True))


def expected(listed, classes):
    return sorted(
        (number, shade, 255 if file == "clear.png" else shade)
        for number, name in enumerate(classes)
        for file, shade in listed[name].items()
    )


def encoded():
    """Files of every format, to be damaged."""
    pixels = np.random.default_rng(0).integers(256, size=(9, 11, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 8
    for kind, options in {
        "PNG": {"exif": exif},
        "JPEG": {"exif": exif},
        "TIFF": {"compression": "tiff_lzw"},
        "WEBP": {"exif": exif},
        "BMP": {},
        "PPM": {},
    }.items():
        buffer = io.BytesIO()
        Image.fromarray(pixels if kind in {"PNG", "TIFF"} else pixels[..., :3]).save(buffer, kind, **options)
        yield kind, buffer.getvalue()


ENCODED = dict(encoded())


@DRAWS
@given(st.data())
def test_damaged_images_are_decoded_or_refused(data):
    kind = data.draw(st.sampled_from(sorted(ENCODED)))
    content = bytearray(ENCODED[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content) // 2]))]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mine.png"
        path.write_bytes(content)
        found = outcome(lambda: decode(str(path), Shape("RGB")), "mine.png")
    assert isinstance(found, str) or (found.dtype == np.uint8 and found.shape[2] == 3)
