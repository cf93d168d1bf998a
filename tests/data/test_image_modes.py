"""Every kind of image file becomes what a viewer shows, or is refused by name: the table of docs/inputs.md."""

import io
import warnings

import numpy as np
import PIL
import pytest
from PIL import Image
from support.inputs import interlaced_png, png, png_lines, rows, tiff

from lrbench.data.decode import Shape, as_rgb, decode
from lrbench.data.folder import image_folder
from lrbench.errors import UsageError

WIDTH, HEIGHT = 7, 5
RANDOM = np.random.default_rng(0)


def levels(*channels, top=256, dtype=np.uint8):
    return RANDOM.integers(top, size=(HEIGHT, WIDTH, *channels)).astype(dtype)


GREY, COLOUR, ALPHA, WIDE = levels(), levels(3), levels(), levels(top=65536, dtype=np.uint16)
BROAD = levels(3, top=65536, dtype=np.uint16)
NUMBERS = levels(top=4)
PALETTE = np.array([[250, 10, 20], [0, 0, 0], [40, 200, 90], [255, 255, 255]], np.uint8)
CMYK = levels(4)


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def array(pixels, mode=None, kind="PNG", **options):
    image = Image.fromarray(pixels) if mode is None else Image.frombytes(mode, (WIDTH, HEIGHT), pixels.tobytes())
    return saved(image, kind, **options)


def rgb(pixels):
    return np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels


def on_white(pixels, alpha):
    weight = alpha[..., None] / 255
    return rgb(pixels) * weight + 255 * (1 - weight)


def premultiplied(pixels, alpha):
    return np.round(pixels * (alpha[..., None] if pixels.ndim == 3 else alpha) / 255).astype(np.uint8)


def joined(*parts):
    return np.concatenate([part if part.ndim == 3 else part[..., None] for part in parts], 2)


def sample(pixels, bits, photometric, **options):
    return tiff(WIDTH, HEIGHT, pixels.tobytes(), bits=bits, photometric=photometric, **options)


def in_palette(**options):
    image = Image.frombytes("P", (WIDTH, HEIGHT), NUMBERS.tobytes())
    image.putpalette(PALETTE.flatten().tolist())
    return saved(image, **options)


def small_grey(bits):
    """Levels of 2 or 4 bits in whole bytes a line."""
    numbers = RANDOM.integers(2**bits, size=(4, 8), dtype=np.uint8)
    per_byte = 8 // bits
    packed = sum(numbers[:, place::per_byte] << (8 - bits * (place + 1)) for place in range(per_byte))
    return numbers, png_lines(packed.astype(np.uint8))


TWO, TWO_LINES = small_grey(2)
FOUR, FOUR_LINES = small_grey(4)
MAP = [value * 257 for channel in np.pad(PALETTE, ((0, 252), (0, 0))).T.tolist() for value in channel]
TRANSPARENT = (bytes([0, 0, 0, 255] * 1), np.array([0, 0, 0, 255], np.uint8))
EXIF = Image.Exif()
EXIF[0x0112] = 6
UP = {
    2: np.fliplr(COLOUR),
    3: np.rot90(COLOUR, 2),
    4: np.flipud(COLOUR),
    5: COLOUR.transpose(1, 0, 2),
    6: np.rot90(COLOUR, -1),
    7: np.rot90(COLOUR, 2).transpose(1, 0, 2),
    8: np.rot90(COLOUR),
}


def turned(orientation, kind="PNG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return array(COLOUR, kind=kind, exif=exif)


def frames(kind, **options):
    others = [Image.fromarray(255 - COLOUR)]
    return saved(Image.fromarray(COLOUR), kind, save_all=True, append_images=others, **options)


CLEAR_LEVEL = int(GREY[2, 3])
CLEAR_COLOUR = tuple(COLOUR[2, 3].tolist())
DAMAGED = b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0"
INK = (255 - CMYK[..., :3].astype(float)) * (255 - CMYK[..., 3:].astype(float)) / 255
YUV = COLOUR.astype(float)
FROM_YCBCR = np.clip(
    np.stack(
        [
            YUV[..., 0] + 1.402 * (YUV[..., 2] - 128),
            YUV[..., 0] - 0.344136 * (YUV[..., 1] - 128) - 0.714136 * (YUV[..., 2] - 128),
            YUV[..., 0] + 1.772 * (YUV[..., 1] - 128),
        ],
        2,
    ),
    0,
    255,
)

SHOWN = {
    "grey, 8 bits (`L`)": [(array(GREY), GREY, 0)],
    "colour, 8 bits (`RGB`)": [(array(COLOUR), COLOUR, 0), (array(COLOUR, kind="TIFF"), COLOUR, 0),
                               (array(COLOUR, kind="BMP"), COLOUR, 0), (array(COLOUR, kind="PPM"), COLOUR, 0)],
    "interlaced": [(interlaced_png(GREY), GREY, 0)],
    "with damaged EXIF data": [(array(COLOUR, exif=DAMAGED), COLOUR, 0)],
    "black and white (`1`)": [(saved(Image.fromarray(GREY > 127)), 255 * (GREY > 127), 0)],
    "grey, 2 or 4 bits": [(png(8, 4, 2, 0, TWO_LINES), TWO * 85, 0), (png(8, 4, 4, 0, FOUR_LINES), FOUR * 17, 0)],
    "grey, 16 bits (`I;16`, PNG or TIFF)": [
        (array(WIDE), WIDE >> 8, 0), (array(WIDE, kind="TIFF"), WIDE >> 8, 0),
        (array(np.full((5, 7), 10000, np.uint16)), np.full((5, 7), 39), 0),
        (saved(Image.frombytes("I;16B", (WIDTH, HEIGHT), WIDE.astype(">u2").tobytes()), "TIFF"), WIDE >> 8, 0)],
    "grey, 16 bits, of PGM": [(b"P5 7 5 65535\n" + WIDE.astype(">u2").tobytes(), WIDE >> 8, 0)],
    "colour, 16 bits, PNG": [(png(WIDTH, HEIGHT, 16, 2, png_lines(BROAD)), BROAD >> 8, 0)],
    "palette (`P`)": [(in_palette(), PALETTE[NUMBERS], 0),
                      (sample(NUMBERS, [8], 3, palette=MAP), PALETTE[NUMBERS], 0)],
    "palette with transparency": [
        (in_palette(transparency=bytes([0, 255, 128, 255])),
         on_white(PALETTE[NUMBERS], np.array([0, 255, 128, 255])[NUMBERS]), 1),
        (in_palette(transparency=2), on_white(PALETTE[NUMBERS], 255 * (NUMBERS != 2)), 0)],
    "palette and alpha (`PA`)": [
        (sample(joined(NUMBERS, ALPHA), [8, 8], 3, extra=2, palette=MAP), on_white(PALETTE[NUMBERS], ALPHA), 1)],
    "grey and alpha (`LA`)": [(array(joined(GREY, ALPHA), "LA"), on_white(GREY, ALPHA), 1)],
    "grey and premultiplied alpha (`La`)": [
        (sample(joined(premultiplied(GREY, ALPHA), ALPHA), [8, 8], 1, extra=1),
         premultiplied(GREY, ALPHA)[..., None] + 255.0 - ALPHA[..., None] + np.zeros(3), 2)],
    "colour and alpha (`RGBA`)": [
        (array(joined(COLOUR, ALPHA)), on_white(COLOUR, ALPHA), 1),
        (array(joined(COLOUR, ALPHA), kind="TIFF"), on_white(COLOUR, ALPHA), 1),
        (array(joined(COLOUR, np.full_like(ALPHA, 255))), COLOUR, 0),
        (array(joined(COLOUR, np.zeros_like(ALPHA))), np.full_like(COLOUR, 255), 0)],
    "colour and premultiplied alpha (`RGBa`)": [
        (sample(joined(premultiplied(COLOUR, ALPHA), ALPHA), [8] * 4, 2, extra=1),
         premultiplied(COLOUR, ALPHA) + 255.0 - ALPHA[..., None], 2)],
    "colour and an unused byte (`RGBX`)": [(sample(joined(COLOUR, ALPHA), [8] * 4, 2, extra=0), COLOUR, 0)],
    "a transparent grey level, 8 bits": [
        (array(GREY, transparency=CLEAR_LEVEL), np.where(GREY == CLEAR_LEVEL, 255, GREY), 0)],
    "a transparent colour, 8 bits": [
        (array(COLOUR, transparency=CLEAR_COLOUR),
         np.where((COLOUR == CLEAR_COLOUR).all(2, keepdims=True), 255, COLOUR), 0)],
    "`CMYK`": [(sample(CMYK, [8] * 4, 5), INK, 1)],
    "`CMYK` of JPEG": [
        (saved(Image.new("CMYK", (WIDTH, HEIGHT), (200, 40, 90, 30)), "JPEG", quality=95),
         np.full((HEIGHT, WIDTH, 3), [55 * 225 / 255, 215 * 225 / 255, 165 * 225 / 255]), 3)],
    "`YCbCr`": [(sample(COLOUR, [8] * 3, 6), FROM_YCBCR, 2)],
    "EXIF orientation 2 to 8": [(turned(number), shown, 0) for number, shown in UP.items()]
        + [(turned(6, "TIFF"), UP[6], 0)],
    "several frames (animated WebP, PNG)": [
        (frames("PNG"), COLOUR, 0), (frames("WEBP", lossless=True, exact=True), COLOUR, 0)],
    "several pages (TIFF)": [(frames("TIFF"), COLOUR, 0)],
}  # fmt: skip

TRANSPARENT_LEVEL = [(b"tRNS", b"\0\x01")]
REFUSED = {
    "a transparent level or colour, 2, 4 or 16 bits": [
        png(8, 4, 2, 0, TWO_LINES, TRANSPARENT_LEVEL), png(8, 4, 4, 0, FOUR_LINES, TRANSPARENT_LEVEL),
        png(WIDTH, HEIGHT, 16, 0, png_lines(WIDE), TRANSPARENT_LEVEL),
        png(WIDTH, HEIGHT, 16, 2, png_lines(BROAD), [(b"tRNS", bytes(6))])],
    "grey, 12 bits": [tiff(8, 4, bytes(48), bits=[12], photometric=1)],
    "grey, 16 bits, with white as 0": [sample(WIDE, [16], 0)],
    "16 signed bits": [sample(WIDE, [16], 1, sample_format=2)],
    "8 signed bits": [sample(GREY, [8], 1, sample_format=2)],
    "32 bits (`I`)": [sample(WIDE.astype(np.int32), [32], 1, sample_format=2),
                      sample(WIDE.astype(np.uint32), [32], 1)],
    "floating point (`F`)": [sample(GREY.astype(np.float32) / 255, [32], 1, sample_format=3),
                             b"Pf\n7 5\n-1.0\n" + GREY.astype(np.float32).tobytes()],
    "`LAB`": [sample(COLOUR, [8] * 3, 8)],
    "over 4096 x 4096 pixels": [png(8_000, 8_000, 8, 0, bytes(1000)), png(11_000, 11_000, 8, 0, bytes(1000))],
    "a decompression bomb": [png(60_000, 60_000, 8, 0, bytes(1000))],
    "truncated": [array(COLOUR)[:-60], array(COLOUR, kind="BMP")[:-30], array(COLOUR, kind="TIFF")[:-30],
                  array(COLOUR, kind="PPM")[:-30], array(np.tile(COLOUR, (9, 9, 1)), kind="JPEG")[:-900],
                  array(COLOUR, kind="WEBP", lossless=True)[:-30]],
    "of no bytes": [b""],
    "another format (GIF, PDF) under an image's name": [array(GREY, kind="GIF"), array(GREY, kind="PDF")],
    "no image": [b"<svg/>", b"hello", bytes(100)],
}  # fmt: skip
SIZES = {"of another size than the first", "too narrow for its `size` (1 x 4000 pixels)"}
OLDER = {"grey and premultiplied alpha (`La`)", "`YCbCr`"} if int(PIL.__version__.split(".")[0]) < 13 else set()
"""What Pillow reads of TIFF since version 13 alone."""
FLAT = [
    pytest.param(name, number, id=f"{name}-{number}") for name, cases in SHOWN.items() for number in range(len(cases))
]
REFUSED_FLAT = [
    pytest.param(name, number, id=f"{name}-{number}") for name, cases in REFUSED.items() for number in range(len(cases))
]


def test_the_table_is_what_is_tested_here():
    table = dict(rows("Images"))
    assert {name for name, outcome in table.items() if outcome != "refused"} == set(SHOWN)
    assert {name for name, outcome in table.items() if outcome == "refused"} == {*REFUSED, *SIZES}


@pytest.mark.parametrize(("name", "number"), FLAT)
def test_an_image_becomes_what_a_viewer_shows(tmp_path, name, number):
    content, expected, tolerance = SHOWN[name][number]
    path = tmp_path / "image.png"
    path.write_bytes(content)
    if name in OLDER:
        with pytest.raises(UsageError, match="not a readable image"):
            decode(str(path), Shape("RGB"))
        return
    expected = rgb(np.asarray(expected)).astype(float)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        colour, grey = decode(str(path), Shape("RGB")), decode(str(path), Shape("L"))
    assert not heard
    assert colour.shape == expected.shape
    assert np.abs(colour - expected).max() <= tolerance
    assert np.abs(grey - expected @ [0.299, 0.587, 0.114]).max() <= tolerance + 1


@pytest.mark.parametrize(("name", "number"), REFUSED_FLAT)
def test_an_image_that_cannot_be_shown_is_refused_by_name(tmp_path, name, number, capfd):
    path = tmp_path / "odd\nname.png"
    path.write_bytes(REFUSED[name][number])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for mode in ("RGB", "L"):
            with pytest.raises(UsageError, match=r"odd\\nname.png") as error:
                decode(str(path), Shape(mode))
            assert "\n" not in str(error.value)
    assert not heard
    assert capfd.readouterr() == ("", "")


MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV",
         "I;16", "I;16L", "I;16B"]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_that_is_converted_keeps_a_grey_gradient(mode):
    wide = np.arange(0, 256, 5, dtype=np.uint8)[None]
    grey = Image.fromarray(wide)
    if mode.startswith("I;16"):
        order = ">u2" if mode.endswith("B") else "<u2"
        image = Image.frombytes(mode, grey.size, (wide.astype(np.uint16) * 256 + 77).astype(order).tobytes())
    else:
        through = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode, mode)
        begun = grey.convert("RGB" if through in {"YCbCr", "CMYK", "RGBX", "HSV"} else "L")
        image = begun.convert(through, dither=Image.Dither.NONE).convert(mode)
    expected = 255 * (wide > 127) if mode == "1" else wide
    assert image.mode == mode
    assert np.abs(np.asarray(as_rgb(image)).astype(int) - rgb(expected)).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_a_16_bit_image_in_a_folder_is_as_bright_as_it_looks(tmp_path, channels):
    for part in ("train", "test"):
        for name, level in (("dark", 10_000), ("light", 50_000)):
            (tmp_path / "mine" / part / name).mkdir(parents=True)
            Image.fromarray(np.full((16, 16), level, np.uint16)).save(tmp_path / "mine" / part / name / "0.png")
    data = image_folder(tmp_path, train=None, test=None, path="mine", channels=channels)
    assert data.train.images.amin((1, 2, 3)).tolist() == data.train.images.amax((1, 2, 3)).tolist() == [39, 195]


def test_sizes_that_do_not_fit_are_refused_by_name(tmp_path):
    path = tmp_path / "narrow.png"
    path.write_bytes(saved(Image.new("L", (1, 4000))))
    with pytest.raises(UsageError, match=r"narrow.png: 1x4000 is too narrow to be brought to 512 pixels"):
        decode(str(path), Shape("RGB", 512, 512))
    with pytest.raises(UsageError, match=r"narrow.png: images must all have one size, 4x3, but this one has 1x4000"):
        decode(str(path), Shape("RGB"), (3, 4))
    assert decode(str(path), Shape("RGB", 8, 8)).shape == (8, 8, 3)


def test_an_image_that_is_turned_has_the_size_that_it_shows(tmp_path):
    path = tmp_path / "turned.png"
    path.write_bytes(turned(6))
    assert decode(str(path), Shape("RGB"), (WIDTH, HEIGHT)).shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "jpeg", "group4"])
def test_decoders_say_nothing_beside_our_own_line(tmp_path, capfd, compression):
    """libtiff and Pillow tell of damage on standard error, each in words of its own."""
    image = Image.fromarray(COLOUR).convert("1" if compression == "group4" else "RGB")
    whole, noise = saved(image.resize((32, 32)), "TIFF", compression=compression), np.random.default_rng(1)
    said = []
    for _ in range(40):
        content = bytearray(whole)
        for place in noise.integers(8, len(content), 3):
            content[place] ^= noise.integers(1, 256)
        (tmp_path / "mine.tif").write_bytes(content)
        try:
            decode(str(tmp_path / "mine.tif"), Shape("RGB"))
        except UsageError as error:
            said.append(str(error))
    assert said
    assert all(text.isprintable() for text in said)
    assert capfd.readouterr() == ("", "")
