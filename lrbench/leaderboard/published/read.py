"""Reading the records of published boards back."""

import stat
from pathlib import Path
from typing import Any

from lrbench.catalogue import MEASURES
from lrbench.errors import UsageError, printable
from lrbench.leaderboard.kept import RECORDS, Content, read_record
from lrbench.leaderboard.published.files import record_path
from lrbench.leaderboard.results import is_own
from lrbench.names import in_path
from lrbench.suite import ThreatModel


def board_folders(to: Path) -> list[Path]:
    """Give the folders of the boards in a folder; none where it is not there.

    Raises
    ------
    UsageError
        If there is something that cannot be looked at: what is not seen is not to be called missing.
    """
    return [each for each in _listed(to) if _is_folder(each / RECORDS)]


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot read {printable(str(path))}: {error.strerror or error}")


def read_records(folder: Path, but: frozenset[str] = frozenset()) -> tuple[list[Content], list[str]]:
    """Read a board's records but those of some models.

    Returns
    -------
    list of dict, list of str
        The records in the board's order, and of those that are not as they were written what is wrong with them.
    """
    records, faults = [], []
    for path in (each for each in _listed(folder / RECORDS) if each.suffix == ".json"):
        if path.name in {f"{in_path(model)}.json" for model in but}:
            continue
        try:
            records.append(_read(folder, path))
        except UsageError as error:
            faults.append(str(error))
    return ordered(records), faults


def sound_records(folder: Path) -> list[Content]:
    """Read all records of a board.

    Raises
    ------
    UsageError
        With the first that is not as it was written or not where it belongs; if there are none, if they do not belong
        on one board, or if a measure of theirs is not installed here.
    """
    records, faults = read_records(folder)
    if faults:
        raise UsageError(faults[0])
    if not records:
        msg = f"{folder / RECORDS} holds no record; remove {folder}, or publish a run there"
        raise UsageError(msg)
    require_one_measure(records, folder)
    _require_measures(records, folder)
    return records


def _require_measures(records: list[Content], folder: Path) -> None:
    """Refuse figures of somebody's own measure that is not here: nobody else knows how they are shown."""
    known = {entry.name for entry in MEASURES}
    for row in (row for record in records for row in record["results"] if is_own(row["metric"])):
        name = row["metric"].partition(":")[0]
        if name not in known:
            msg = f"{folder} has figures of the measure {name!r}; install the package that offers it, and try again"
            raise UsageError(msg)


def _read(folder: Path, path: Path) -> Content:
    record = read_record(path)
    if record_path(folder, record["model"]) != path or in_path(record["suite"]) != folder.name:
        msg = f"{path} is the record of {record['model']} in {record['suite']}, which does not belong there"
        raise UsageError(msg)
    return record


def ordered(records: list[Content]) -> list[Content]:
    """Put the baseline first, so that the order does not depend on which run was published when."""
    return sorted(records, key=lambda record: (record["model"] != record["baseline"], record["model"]))


def require_one_measure(records: list[Content], folder: Path) -> None:
    """Refuse records that were not measured on the same images in the same way.

    Raises
    ------
    UsageError
        With the first two that were not.
    """
    first = records[0]
    for record in records[1:]:
        for what, a, b in (
            ("test images", first["test_images"], record["test_images"]),
            ("threat model", _threat(first), _threat(record)),
            *(
                (what, *(each["configuration"].get(key) for each in (first, record)))
                for what, key in (("set of attacks", "attacks"), ("data", "data"), ("training", "training"))
            ),
            ("checks for masked gradients", *(_masking(each) for each in (first, record))),
        ):
            if a != b:
                msg = (
                    f"{folder} holds {first['model']} with another {what} than {record['model']}; publish elsewhere "
                    "with --to, or remove its records"
                )
                raise UsageError(msg)


def _masking(record: Content) -> Any:  # noqa: ANN401
    return (record["configuration"].get("diagnostics") or {}).get("masking")


def _threat(record: Content) -> Content:
    """Give the threat model but for how the work is cut up."""
    content = record["configuration"]["threat_model"]
    known = {key: value for key, value in content.items() if key in ThreatModel.model_fields}
    unknown = {key: value for key, value in content.items() if key not in known}
    threat = ThreatModel.model_validate(known)
    return unknown | threat.model_dump(mode="json", exclude={"batch_size", "part", "compile", "keep_images"})
