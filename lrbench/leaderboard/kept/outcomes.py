"""What became of each image, a bit each."""

import base64
import binascii
import math
import zlib
from typing import Any

import numpy as np

from lrbench.leaderboard.worth import Wrong

MOST_BYTES = 1 << 24
"""Of one seed's outcomes, unpacked: a stranger's record does not fill the memory."""


def packed(wrong: Wrong) -> dict[str, Any]:
    """Write outcomes as JSON: a bit an image, compressed, in Base64."""
    bits = np.packbits(np.stack(list(wrong.values())).astype(bool), axis=1)
    return {
        "n": len(next(iter(wrong.values()))),
        "under": [list(key) for key in wrong],
        "bits": base64.b64encode(zlib.compress(bits.tobytes(), 9)).decode(),
    }


def unpacked(content: dict[str, Any]) -> Wrong:
    """Read what `packed` wrote.

    Raises
    ------
    ValueError
        If it is nothing of the kind.
    """
    try:
        keys = [(str(label), float(eps)) for label, eps in content["under"]]
        n = content["n"]
        inflater = zlib.decompressobj()
        raw = inflater.decompress(base64.b64decode(content["bits"], validate=True), MOST_BYTES)
        bits = np.frombuffer(raw, np.uint8).reshape(len(keys), -1)
        if type(n) is not int or bits.shape[1] != math.ceil(n / 8) or len(set(keys)) != len(keys):
            raise TypeError
        images = np.unpackbits(bits, axis=1, count=n).astype(bool)
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
        msg = f"no outcomes: {type(error).__name__}"
        raise ValueError(msg) from error
    return dict(zip(keys, images, strict=True))
