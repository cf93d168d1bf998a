"""Add a run to the published leaderboards, and make their pages again."""

import json
from pathlib import Path

import yaml

from lrbench.errors import UsageError
from lrbench.leaderboard.figures import Artefacts, draw
from lrbench.leaderboard.kept import RECORDS, Content, read_record, require_sound
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.published.page import index_page, suite_page
from lrbench.leaderboard.published.record import board_of, record_of
from lrbench.names import in_path
from lrbench.store import write_file
from lrbench.suite import ThreatModel


def publish(folder: str | Path, to: Path, *, as_is: bool = False) -> list[str]:
    """Add the models of a run to `to`/SUITE, in place of earlier records of theirs; give their names.

    Writes `records/MODEL.json`, and from all records there `results.csv`, `leaderboard.csv`, `README.md`, `suite.yaml`,
    `status.json` and `figures/`; then `README.md` and `index.html` over all suites. A model whose LR-Layers never acted
    is published `as_is` alone, marked.

    Raises
    ------
    UsageError
        If the run is not finished or not as its steps wrote it, LR-Layers of it never acted, a record there is not as
        it was written, or they were not measured on the same images in the same threat model.
    """
    run = Run.open(folder)
    _require_whole(run)
    if run.board.idle and not as_is:
        model = next(iter(run.board.idle))
        msg = f"{run.board.cautions(model)[-1]} Publish it, so marked, with --as-is"
        raise UsageError(msg)
    new = {model: record_of(run, model) for model in run.models}
    for model, record in new.items():
        require_sound(record, f"the record of {model} in {run.folder}")
    place = to / in_path(run.board.suite["name"])
    records = _ordered({record["model"]: record for record in _records(place)} | new)
    _require_one_measure(records, place)
    for model, record in new.items():
        write_file(place / RECORDS / f"{in_path(model)}.json", _json(record))
    _write_board(place, records)
    _write_index(to)
    return list(new)


def _require_whole(run: Run) -> None:
    status, failures = run.board.status, run.board.failures
    if run.published:
        msg = f"{run.folder} is a published board; name the folder of a run"
        raise UsageError(msg)
    if failures:
        step, reason = next(iter(failures.items()))
        told = f"{status.progress}, " if status.progress else ""
        msg = f"{run.folder} is not finished: {told}{step} failed ({reason}); run its suite again"
        raise UsageError(msg)
    if not status.known:
        msg = f"{run.folder} does not say how many of its steps are done; run its suite again"
        raise UsageError(msg)
    if status.progress:
        msg = f"{run.folder} is not finished: {status.progress}; run its suite again"
        raise UsageError(msg)


def check(to: Path) -> int:
    """Hold every published record against its checksum and its flags; give their number.

    Raises
    ------
    UsageError
        With the first that is not as it was written.
    """
    return sum(len(_records(place)) for place in _places(to))


def _places(to: Path) -> list[Path]:
    return sorted(path.parent for path in to.glob(f"*/{RECORDS}"))


def _records(place: Path) -> list[Content]:
    records = [read_record(path) for path in (place / RECORDS).glob("*.json")]
    return _ordered({record["model"]: record for record in records})


def _ordered(records: dict[str, Content]) -> list[Content]:
    """Put the baseline first, so that the order does not depend on which run was published when."""
    return sorted(records.values(), key=lambda record: (record["model"] != record["baseline"], record["model"]))


def _require_one_measure(records: list[Content], place: Path) -> None:
    first = records[0]
    for record in records[1:]:
        for what, a, b in (
            ("test images", first["test_images"], record["test_images"]),
            ("threat model", _threat(first), _threat(record)),
            ("set of attacks", first["configuration"]["attacks"], record["configuration"]["attacks"]),
        ):
            if a != b:
                msg = (
                    f"{place} holds {first['model']} with another {what} than {record['model']}; publish elsewhere "
                    "with --to, or remove its records"
                )
                raise UsageError(msg)


def _threat(record: Content) -> Content:
    """Give the threat model but for how the work is cut up."""
    threat = ThreatModel.model_validate(record["configuration"]["threat_model"])
    return threat.model_dump(mode="json", exclude={"batch_size", "part", "compile"})


def _json(content: Content) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _write_board(place: Path, records: list[Content]) -> None:
    board = board_of(records)
    figures = draw(board, Artefacts())
    for old in (place / "figures").glob("*"):
        if old.name not in figures:
            old.unlink()
    for name, content in figures.items():
        write_file(place / "figures" / name, content)
    write_file(place / "results.csv", board.results_csv().encode())
    write_file(place / "leaderboard.csv", board.to_csv().encode())
    if board.masking:
        write_file(place / "masking.json", _json(board.masking))
    write_file(place / "status.json", board.status.write().encode())
    write_file(place / "suite.yaml", yaml.safe_dump(board.suite, sort_keys=False, allow_unicode=True).encode())
    pictures = [name for name in figures if name.endswith(".svg")]
    write_file(place / "README.md", suite_page(board, records, pictures).encode())


def _write_index(to: Path) -> None:
    boards = {place.name: board_of(_records(place)) for place in _places(to)}
    html, markdown = index_page(boards)
    write_file(to / "index.html", html.encode())
    write_file(to / "README.md", markdown.encode())
