"""Reading the records of published boards back."""

from pathlib import Path
from typing import Any

from lrbench.catalogue import MEASURES
from lrbench.errors import UsageError
from lrbench.leaderboard.kept import RECORDS, Content, read_record
from lrbench.leaderboard.published.files import record_place
from lrbench.leaderboard.results import is_own
from lrbench.names import in_path
from lrbench.suite import ThreatModel


def places_of(to: Path) -> list[Path]:
    """Give the folders of the boards in a folder."""
    return sorted(path.parent for path in to.glob(f"*/{RECORDS}"))


def read_records(place: Path, but: frozenset[str] = frozenset()) -> tuple[list[Content], list[str]]:
    """Read a board's records but those of some models.

    Returns
    -------
    list of dict, list of str
        The records in the board's order, and of those that are not as they were written what is wrong with them.
    """
    records, faults = [], []
    for path in sorted((place / RECORDS).glob("*.json")):
        if path.name in {f"{in_path(model)}.json" for model in but}:
            continue
        try:
            records.append(_read(place, path))
        except UsageError as error:
            faults.append(str(error))
    return ordered(records), faults


def sound_records(place: Path) -> list[Content]:
    """Read all records of a board.

    Raises
    ------
    UsageError
        With the first that is not as it was written or not where it belongs; if there are none, if they do not belong
        on one board, or if a measure of theirs is not installed here.
    """
    records, faults = read_records(place)
    if faults:
        raise UsageError(faults[0])
    if not records:
        msg = f"{place / RECORDS} holds no record; remove {place}, or publish a run there"
        raise UsageError(msg)
    require_one_measure(records, place)
    _require_measures(records, place)
    return records


def _require_measures(records: list[Content], place: Path) -> None:
    """Refuse figures of somebody's own measure that is not here: nobody else knows how they are shown."""
    known = {entry.name for entry in MEASURES}
    for row in (row for record in records for row in record["results"] if is_own(row["metric"])):
        name = row["metric"].partition(":")[0]
        if name not in known:
            msg = f"{place} has figures of the measure {name!r}; install the package that offers it, and try again"
            raise UsageError(msg)


def _read(place: Path, path: Path) -> Content:
    record = read_record(path)
    if record_place(place, record["model"]) != path or in_path(record["suite"]) != place.name:
        msg = f"{path} is the record of {record['model']} in {record['suite']}, which does not belong there"
        raise UsageError(msg)
    return record


def ordered(records: list[Content]) -> list[Content]:
    """Put the baseline first, so that the order does not depend on which run was published when."""
    return sorted(records, key=lambda record: (record["model"] != record["baseline"], record["model"]))


def require_one_measure(records: list[Content], place: Path) -> None:
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
                    f"{place} holds {first['model']} with another {what} than {record['model']}; publish elsewhere "
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
