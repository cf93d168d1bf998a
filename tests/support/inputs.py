"""The tables of docs/inputs.md, and writers of image files that Pillow reads but does not write."""

import re
import struct
import zlib
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "inputs.md"
OUTCOMES = {"accepted", "converted", "skipped", "refused"}


def rows(section):
    """Rows of a section's table, (input, outcome)."""
    text = PAGE.read_text("utf-8")
    part = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^\| (.+?) \| (\w+) \| .+ \|$", part[1], re.MULTILINE)
    return [(each, outcome) for each, outcome in found if outcome in OUTCOMES]


def png(width, height, bits, colour, lines, chunks=(), interlace=0):
    """A PNG of raw lines, each with its filter byte; `chunks` stand before the pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    middle = b"".join(chunk(*each) for each in chunks)
    body = chunk(b"IHDR", head) + middle + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def png_lines(array):
    """The unfiltered lines of an array (H, W) or (H, W, C) of uint8 or uint16."""
    return b"".join(b"\0" + line.astype(line.dtype.newbyteorder(">")).tobytes() for line in array)


def interlaced_png(array):
    """A grey PNG, uint8 (H, W), in the seven passes of Adam7."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [array[top::down, left::right] for top, left, down, right in passes]
    lines = b"".join(png_lines(part) for part in parts if part.size)
    return png(array.shape[1], array.shape[0], 8, 0, lines, interlace=1)


def tiff(width, height, pixels, *, bits, photometric, extra=None, sample_format=1, palette=None):
    """An uncompressed little-endian TIFF in one strip; `bits` of each sample, pixels interleaved."""
    tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, list(bits)),
        259: (3, [1]),
        262: (3, [photometric]),
        277: (3, [len(bits)]),
        278: (4, [height]),
        279: (4, [len(pixels)]),
        339: (3, [sample_format] * len(bits)),
    }
    if extra is not None:
        tags[338] = (3, [extra])
    if palette is not None:
        tags[320] = (3, palette)
    tags[273] = (4, [0])
    start = 8 + 2 + 12 * len(tags) + 4
    tail = b""
    entries = []
    for tag, (kind, values) in sorted(tags.items()):
        packed = b"".join(struct.pack("<H" if kind == 3 else "<I", value) for value in values)
        if tag == 273:
            packed = b"STRP"
        elif len(packed) > 4:
            where = start + len(tail)
            tail += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack("<I", where)
        entries.append(struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0"))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    directory = directory.replace(b"STRP", struct.pack("<I", start + len(tail)))
    return b"II*\0" + struct.pack("<I", 8) + directory + tail + pixels
