"""An image file as a viewer shows it: upright, 8 bits a channel, on white where it is transparent."""

import logging
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop
from torchvision.transforms.functional import resize as resized

from lrbench.data.libtiff import hush_libtiff
from lrbench.errors import UsageError, printable, short
from lrbench.files import is_file

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""No others, whatever a file is called: Pillow would hand some to programs such as Ghostscript."""

MAX_PIXELS = 4096 * 4096

MAX_RESIZED = 4 * MAX_PIXELS
"""Pixels of an image whose shorter side has been brought to its length, before its middle is kept."""

BILINEAR = InterpolationMode.BILINEAR.value

CONVERTED = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}
"""Modes of 8 bits and less that Pillow converts to RGB and RGBA as viewers do."""

SIXTEEN_BITS = {"I;16", "I;16L", "I;16B", "I;16N"}

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""

# Pillow logs what it cannot decode; without any handler that would go to the terminal beside our own line.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Shape:
    """What images are brought to: `mode` of Pillow; where `size` is given, the shorter side `resize`, then a square."""

    mode: str
    size: int | None = None
    resize: int | None = None
    interpolation: str = field(default=BILINEAR, repr=False)

    @property
    def told(self) -> str:
        """What tells it from others."""
        return repr(self) if self.interpolation == BILINEAR else f"{self!r} {self.interpolation}"


def decode(path: str, shape: Shape, sides: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
    """Decode an image after its header has been looked at.

    Parameters
    ----------
    path : str
    shape : Shape
    sides : (int, int), optional
        Height and width that it must come to where `shape` has no size.

    Returns
    -------
    array, (H, W) or (H, W, 3), uint8

    Raises
    ------
    UsageError
        With the file's name: if it is no file or no readable image, is larger than `MAX_PIXELS`, has a mode of which
        nobody can say how it is to be shown, comes to another size, or is too narrow to be brought to one.
    """
    if not is_file(Path(path)):
        msg = f"{printable(path)}: not a file"
        raise UsageError(msg)
    hush_pillow()
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                msg = f"{printable(path)}: {image.width}x{image.height} pixels are too many; resize it"
                raise UsageError(msg)
            fault = fault_of(image)
            if fault is not None:
                msg = f"{printable(path)}: mode {image.mode} {fault}; save it with 8 bits a channel"
                raise UsageError(msg)
            image.load()
            # Grey is made of colour, whatever the mode: Pillow has no way from some modes to grey.
            shown = upright(as_rgb(image), image).convert(shape.mode)
    except UsageError:
        raise
    except UnidentifiedImageError as error:
        msg = f"{printable(path)}: not a readable image ({', '.join(FORMATS)} are read)"
        raise UsageError(msg) from error
    # Decoders of damaged images raise anything: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        msg = f"{printable(path)}: not a readable image ({short(error)})"
        raise UsageError(msg) from error
    return np.asarray(_sized(path, shown, shape, sides))


def hush_pillow() -> None:
    """Keep Pillow, and what it decodes with, from telling of damaged EXIF data and the like: what matters is raised.

    Not by `warnings.catch_warnings`: images are decoded in threads, and it would restore the filters of another one.
    """
    warnings.filterwarnings("ignore", module="PIL")
    hush_libtiff()


def fault_of(image: Image.Image) -> str | None:
    """Say why an image that is open but not loaded cannot be shown; None if it can.

    Pillow tells wrongly, or not at all, what black and white are in what is refused here.
    """
    tags: Any = getattr(image, "tag_v2", {})
    if image.mode in SIXTEEN_BITS or _of_sixteen_bits(image):
        if _first(tags.get(258, 16)) != 16 or tags.get(262, 1) == 0:
            return "of other than 16 bits, or with white as 0, is not supported"
        return "with a transparent level is not supported" if "transparency" in image.info else None
    if image.mode not in CONVERTED:
        return "has no agreed black and white"
    if _first(tags.get(339, 1)) != 1:
        return "of signed numbers is not supported"
    if "transparency" in image.info and _raw_mode(image) in {"L;2", "L;4", "RGB;16B"}:
        return "with a transparent colour is supported for 8 bits only"
    return None


def as_rgb(image: Image.Image) -> Image.Image:
    """Bring an image in which `fault_of` finds none to RGB; what is transparent shows white."""
    if image.mode in SIXTEEN_BITS or image.mode == "I":
        # The higher byte, as Pillow and others take it of 16-bit colour.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def upright(image: Image.Image, source: Image.Image) -> Image.Image:
    """Turn an image as the EXIF data of its `source` say; damaged ones are ignored, as viewers do."""
    try:
        orientation = source.getexif().get(ExifTags.Base.Orientation)
    # Damaged EXIF data make Pillow raise anything.
    except Exception:  # noqa: BLE001
        return image
    turn = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _of_sixteen_bits(image: Image.Image) -> bool:
    """Whether a mode of 32 bits holds what a file of these formats has as 16."""
    return image.mode == "I" and image.format in {"PNG", "PPM"}


def _first(value: Any) -> Any:  # noqa: ANN401
    return value[0] if isinstance(value, tuple) and value else value


def _raw_mode(image: Image.Image) -> Any:  # noqa: ANN401
    """Name what the pixels of the file are before Pillow makes 8 bits of them."""
    tile: Any = getattr(image, "tile", None)
    return _first(tile[0][3]) if tile else None


def _sized(path: str, image: Image.Image, shape: Shape, sides: tuple[int, ...] | None) -> Image.Image:
    """Bring the shorter side to `resize` and keep the middle, as torchvision's Resize and CenterCrop do."""
    if shape.size is not None and shape.resize is not None:
        if shape.resize**2 * max(image.size) > MAX_RESIZED * min(image.size):
            msg = (
                f"{printable(path)}: {image.width}x{image.height} is too narrow to be brought to {shape.resize} pixels"
            )
            raise UsageError(msg)
        brought = resized(image, [shape.resize], InterpolationMode(shape.interpolation))
        squared: Image.Image = center_crop(brought, [shape.size])
        return squared
    if sides is not None and (image.height, image.width) != sides:
        msg = (
            f"{printable(path)}: images must all have one size, {sides[1]}x{sides[0]}, but this one has "
            f"{image.width}x{image.height}; resize them first, or give the data set a `size`"
        )
        raise UsageError(msg)
    return image
