"""What is kept of a finished step beside its files."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

RECORD = "step.json"

Row = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A finished step: what it was made from (`key`, `config`), what it cost, what came out.

    `files` are the checksums (SHA-256) and `sizes` the bytes of its files; records of earlier versions have no sizes.
    `environment` is the hash of what it was taken under (`Store.environment`). `labels` are those of the attacks that
    `rows` are of; they are names, and no part of what it was made from.
    """

    id: str
    key: str
    config: dict[str, Any]
    seconds: float
    rows: list[Row] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    environment: str = ""

    def sealed(self) -> bytes:
        """Write it with a checksum of its own."""
        content = asdict(self)
        return (json.dumps({"record": content, "sha256": _seal(content)}, indent=1) + "\n").encode()

    @classmethod
    def unsealed(cls, text: bytes) -> "Record":
        """Read what `sealed` wrote.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it is not as it was written.
        """
        sealed = json.loads(text)
        if sealed["sha256"] != _seal(sealed["record"]):
            msg = "the checksum is another"
            raise ValueError(msg)
        return cls(**sealed["record"])


def checksum(content: bytes) -> str:
    """Give the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def _seal(content: dict[str, Any]) -> str:
    return checksum(json.dumps(content, sort_keys=True).encode())
