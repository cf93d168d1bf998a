"""What a published record keeps of a model, and reading it back: `records/MODEL.json`."""

import base64
import binascii
import hashlib
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from lrbench.errors import UsageError
from lrbench.suite import Suite
from lrbench.verdicts import VerdictName, verdict_of

FORMAT = 1
RECORDS = "records"

MOST_BYTES = 1 << 24
"""Of one seed's outcomes, unpacked: a stranger's record does not fill the memory."""

Content = dict[str, Any]

Key = tuple[str, float]
"""Label of an attack and radius; ("", 0.0) is no attack."""

Wrong = dict[Key, np.ndarray]
"""Which images a model got wrong, (N,) bool, under each."""


def checksum(content: Content) -> str:
    """SHA-256 of a record without its own."""
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


def read_record(path: Path) -> Content:
    """Read a record, and hold it against its checksum, its own flags, and what became of its images.

    Raises
    ------
    UsageError
        If it was changed after it was written, its verdict is not that of its checks, or a figure is not that of its
        images.
    """
    try:
        content: Content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path} is no record: {type(error).__name__}"
        raise UsageError(msg) from error
    require_sound(content, str(path))
    return content


def require_sound(content: Content, what: str) -> None:
    """Hold a record against its checksum, its own flags, and what became of its images.

    Raises
    ------
    UsageError
        As `read_record`.
    """
    try:
        fault = _fault(content)
    # A stranger's record can lack or hold anything, nested as deep as they like.
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{what} is no record: {type(error).__name__}"
        raise UsageError(msg) from error
    if fault is not None:
        msg = f"{what} {fault}"
        raise UsageError(msg)


def _fault(content: Content) -> str | None:
    """Say in what a record differs from itself; None if in nothing."""
    if content["format"] != FORMAT or content["sha256"] != checksum(content):
        return "does not match its checksum; publish its run again"
    Suite.model_validate(content["configuration"])
    named = [content["model"], content["baseline"], content["test_images"]]
    if not all(isinstance(each, str) for each in named) or not all(
        isinstance(e, dict) for e in environments_of(content)
    ):
        return "is no record: it lacks a name, or says of no machine"
    if content["verdict"] != (found := verdict_told(content["masking"])):
        return f"says {content['verdict']!r}, but its checks come to {found!r}"
    if (told := _unlike_its_images(content)) is not None:
        return f"says {told}, which is not what became of its images"
    return None


def verdict_told(masking: Content) -> VerdictName | None:
    """Give the verdict that checks come to, the worst over seeds; None if there are none."""
    if not masking:
        return None
    flagged = [check["severity"] for told in masking.values() for check in told["checks"] if check["flagged"]]
    return verdict_of(flagged)


def environments_of(record: Content) -> list[dict[str, Any]]:
    """Give the environments that a record's figures were made in; older ones name one."""
    found: list[dict[str, Any]] = record["environments"] if "environments" in record else [record["environment"]]
    return found


def packed(wrong: Wrong) -> Content:
    """Write outcomes as JSON: a bit an image, compressed, in Base64."""
    bits = np.packbits(np.stack(list(wrong.values())).astype(bool), axis=1)
    return {
        "n": len(next(iter(wrong.values()))),
        "under": [list(key) for key in wrong],
        "bits": base64.b64encode(zlib.compress(bits.tobytes(), 9)).decode(),
    }


def unpacked(content: Content) -> Wrong:
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
        if type(n) is not int or bits.shape[1] != math.ceil(n / 8):
            raise TypeError
        images = np.unpackbits(bits, axis=1, count=n).astype(bool)
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error) as error:
        msg = f"no outcomes: {type(error).__name__}"
        raise ValueError(msg) from error
    return dict(zip(keys, images, strict=True))


def _unlike_its_images(record: Content) -> str | None:
    """Name a misclassification that is not the share of the images that the record keeps as wrong; None if all are."""
    for seed, content in (record.get("outcomes") or {}).items():
        try:
            wrong = unpacked(content)
        except ValueError as error:
            return f"{error} (seed {seed})"
        for row in record["results"]:
            if row["metric"] != "misclassification" or str(row["seed"]) != seed:
                continue
            key = (row["attack"], float(row["eps"]))
            if key not in wrong or abs(float(wrong[key].mean()) - row["value"]) > 1e-9:
                return f"{row['value']} under {row['attack'] or 'no attack'} (seed {seed})"
    return None
