"""A record's file: how it is written, and reading it back."""

import hashlib
import json
from pathlib import Path
from typing import Any

from lrbench.errors import UsageError, short
from lrbench.leaderboard.kept.contradictions import contradictions
from lrbench.leaderboard.kept.form import misshapen
from lrbench.renamed import renamed_row, renamed_suite
from lrbench.suite import known_suite
from lrbench.suite.document import Document

FORMAT = 5
"""1 did not say how many of the model's steps are done. 1 and 2 had the parameters of figures in their names.

They did not say which attacks are weak, or noise, either; none before 4 when it was published, and how long its steps
took; and none before 5 what they were made from (the keys of steps).
"""

NAMES_WITH_PARAMETERS = 2

RECORDS = "records"

AGAIN = "publish its run again"

Content = dict[str, Any]


def checksum(content: Content) -> str:
    """SHA-256 of a record without its own."""
    bare = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


def as_written(content: Any) -> bytes:  # noqa: ANN401
    """Give the one way in which a record, or another JSON file of a board, is written."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def read_record(path: Path) -> Content:
    """Read a record, and hold it against its checksum and against itself; an older one is given as it is written today.

    Raises
    ------
    UsageError
        If it cannot be read or is none, is of a newer version of lrbench, was changed after it was written, be it by a
        blank, or says what does not follow from what else it says.
    """
    try:
        written = path.read_bytes()
        content: Content = json.loads(written)
    except PermissionError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise UsageError(msg) from error
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path} is no record: {type(error).__name__}; {AGAIN}"
        raise UsageError(msg) from error
    require_sound(content, str(path))
    if as_written(content) != written:
        msg = f"{path} is not written as lrbench writes it; {AGAIN}"
        raise UsageError(msg)
    return _of_today(content)


def require_sound(content: Any, what: str) -> None:  # noqa: ANN401
    """Hold a record against its checksum, the form of a record, and itself.

    Raises
    ------
    UsageError
        As `read_record`.
    """
    try:
        fault = _fault(content)
    # A stranger's record can be nested as deep as they like.
    except (ValueError, RecursionError) as error:
        fault = f"is no record: {short(error)}; {AGAIN}"
    if fault is not None:
        msg = f"{what} {fault}"
        raise UsageError(msg)


def _fault(content: Any) -> str | None:  # noqa: ANN401
    """Say in what a record is not as it should be; None if in nothing."""
    written = content.get("format") if isinstance(content, dict) else None
    if type(written) is not int or written < 1:
        return f"is no record: it has no format; {AGAIN}"
    if written > FORMAT:
        return f"is of a newer version of lrbench (format {written}, and this one reads up to {FORMAT})"
    if content.get("sha256") != checksum(content):
        return f"does not match its checksum; {AGAIN}"
    if (fault := misshapen(content)) is not None:
        return f"is no record: {fault}; {AGAIN}"
    try:
        suite, _ = known_suite(Document("its configuration", content["configuration"], {}))
    except UsageError as error:
        return f"is no record: {short(error)}; {AGAIN}"
    return next(contradictions({**_of_today(content), "configuration": suite.model_dump(mode="json")}), None)


def _of_today(content: Content) -> Content:
    """Give a sound record with the names that there are now; its format and checksum stay those of its file."""
    if content["format"] > NAMES_WITH_PARAMETERS:
        return content
    results = [renamed_row(row) for row in content["results"]]
    return {**content, "configuration": renamed_suite(content["configuration"]), "results": results}


def environments_of(record: Content) -> list[dict[str, Any]]:
    """Give the environments that a record's figures were made in; older ones name one."""
    found: list[dict[str, Any]] = record["environments"] if "environments" in record else [record["environment"]]
    return found
