"""What a published board keeps of a model, and reading it back: `records/MODEL.json`."""

from lrbench.leaderboard.kept.contradictions import verdict_of_checks
from lrbench.leaderboard.kept.outcomes import packed, unpacked
from lrbench.leaderboard.kept.record import (
    FORMAT,
    RECORDS,
    Content,
    as_written,
    checksum,
    environments_of,
    read_record,
    require_sound,
)
from lrbench.leaderboard.worth import Key, Wrong

__all__ = [
    "FORMAT",
    "RECORDS",
    "Content",
    "Key",
    "Wrong",
    "as_written",
    "checksum",
    "environments_of",
    "packed",
    "read_record",
    "require_sound",
    "unpacked",
    "verdict_of_checks",
]
