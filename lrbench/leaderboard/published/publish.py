"""Add a run to the published leaderboards, and make their pages again."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lrbench.errors import UsageError
from lrbench.leaderboard.charts import charts
from lrbench.leaderboard.drawing import as_files
from lrbench.leaderboard.kept import RECORDS, Content, as_written, checksum, read_record, require_sound
from lrbench.leaderboard.left import PLAN
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.published.depends import require_what_they_rest_on
from lrbench.leaderboard.published.files import COSTS, FIGURES, MANIFEST, MASKING, index, manifest, record_path, tables
from lrbench.leaderboard.published.read import board_folders, ordered, read_records, require_one_measure, sound_records
from lrbench.leaderboard.published.record import board_of, record_of
from lrbench.leaderboard.published.weights import FOLDER as WEIGHTS
from lrbench.leaderboard.published.weights import publish_weights, remove_others
from lrbench.names import in_path
from lrbench.store import write_file
from lrbench.store.flock import FileLocks
from lrbench.store.lock import LockedError
from lrbench.store.write import TEMPORARY

PATIENCE = 300.0
"""Seconds to wait for others that publish to the same folder, each of which takes a few."""


def publish(
    folder: str | Path,
    to: Path,
    *,
    as_is: bool = False,
    partial: bool = False,
    weights: bool = False,
    announce: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Add the models of a run to `to`/SUITE, in place of earlier records of theirs; give their names.

    Writes `records/MODEL.json`, and from all records there `results.csv`, `leaderboard.csv`, `README.md`, `suite.yaml`,
    `status.json` and `figures/`; then `README.md` and `index.html` over all suites. With `weights` the networks are
    published, too, for `lrbench.load_model`. One publishes to a folder at a time; others wait. A model whose LR-Layers
    never acted is published `as_is` alone, and a run that is not whole if `partial` alone, both marked; of models of
    which nothing was measured yet are announced.

    Raises
    ------
    UsageError
        If the run is not finished or not as its steps wrote it, LR-Layers of it never acted, a record of another model
        there is not as it was written, or they were not measured on the same images in the same threat model.
    """
    run = Run.open(folder)
    _require_publishable(run, as_is=as_is, partial=partial)
    board_folder = to / in_path(run.board.suite["name"])
    _require_apart(run.folder, to, board_folder)
    models = [model for model in run.board.suite["models"] if not partial or run.is_measured(model)]
    for model in run.board.suite["models"]:
        if model not in models:
            announce(f"skipped {model}: nothing is measured yet")
    new = _records_of(run, models, partial=partial)
    with _alone(to):
        others, damaged = read_records(board_folder, frozenset(new))
        there, _ = read_records(board_folder, frozenset(other["model"] for other in others))
        require_what_they_rest_on(new.values(), there, others)
        new = {model: _unless_it_stands(record, record_path(board_folder, model)) for model, record in new.items()}
        records = ordered([*others, *new.values()])
        require_one_measure(records, board_folder)
        for model, record in new.items():
            write_file(record_path(board_folder, model), as_written(record))
        if damaged:
            # With the new records in place, publishing the damaged one's run is all that is left to do.
            msg = f"{damaged[0]}; the records of {', '.join(new)} are written, and no page before that is mended"
            raise UsageError(msg)
        for model, record in new.items():
            if remove_others(board_folder, record) and not weights:
                announce(f"removed the weights of {model}, which were of other networks; --weights publishes these")
        if weights:
            publish_weights(run, models, board_folder)
        _write_board(board_folder, records)
        _write_index(to)
    return list(new)


def _records_of(run: Run, models: list[str], *, partial: bool) -> dict[str, Content]:
    """Make the records, once the table holds what the steps found and nothing else."""
    if not models:
        msg = f"{run.folder} has nothing yet that was measured; run its suite again"
        raise UsageError(msg)
    lacking = [model for model in models if model not in run.models]
    if lacking:
        msg = f"results.csv of {run.folder} lacks what the steps of {lacking[0]} found; run the suite again"
        raise UsageError(msg)
    new = {model: record_of(run, model, partial=partial) for model in models}
    # Figures that follow from others are made again for a board, and yet a table that was changed is not believed.
    if (run.folder / "results.csv").read_bytes() != run.board.results_csv().encode():
        msg = f"results.csv of {run.folder} is not as its run wrote it; run the suite again"
        raise UsageError(msg)
    for model, record in new.items():
        require_sound(record, f"the record of {model} in {run.folder}")
    return new


def _unless_it_stands(record: Content, path: Path) -> Content:
    """Give the record that is there if it says the same, and so keeps its day: published again, nothing changes."""
    try:
        there = read_record(path)
    except UsageError:
        return record
    return there if checksum({**there, "published": record["published"]}) == record["sha256"] else record


def rebuild(to: Path) -> int:
    """Make all tables, pages and pictures again from the records; give their number.

    Raises
    ------
    UsageError
        If there are none, or one is not as it was written.
    """
    if not board_folders(to):
        msg = f"no published leaderboards in {to}"
        raise UsageError(msg)
    with _alone(to):
        boards = {folder: sound_records(folder) for folder in board_folders(to)}
        for folder, records in boards.items():
            _write_board(folder, records)
        _write_index(to)
    return sum(map(len, boards.values()))


@contextmanager
def _alone(to: Path) -> Iterator[None]:
    """Hold the folder, once others that do have let it go."""
    locks, last = FileLocks(to), time.monotonic() + PATIENCE
    while True:
        try:
            locks.take(None)
            break
        except LockedError as error:
            if time.monotonic() > last:
                who = str(error) or "unknown process"
                msg = f"another publishes to {to} ({who}); wait for it, or choose another --to"
                raise UsageError(msg) from None
            time.sleep(0.02)
        except OSError as error:
            msg = f"cannot write to {to}: {error.strerror or error}"
            raise UsageError(msg) from error
    try:
        _remove_what_was_cut_off(to)
        yield
    finally:
        locks.free()


def _remove_what_was_cut_off(to: Path) -> None:
    """Remove files that somebody who publishes was writing when it ended; what else lies there is not ours."""
    ours = [to, *(folder for board in board_folders(to) for folder in (board, *_folders_of(board)))]
    for left in (path for folder in ours for path in folder.glob(f".*{TEMPORARY}")):
        with suppress(OSError):
            left.unlink()


def _folders_of(board_folder: Path) -> Iterator[Path]:
    yield from (board_folder / RECORDS, board_folder / FIGURES)
    yield from (path for path in (board_folder / WEIGHTS).rglob("*") if path.is_dir())


def _require_apart(run: Path, to: Path, board_folder: Path) -> None:
    """Refuse a board in the place of a run, whose tables it would write over."""
    above = [to.resolve(), *to.resolve().parents]
    other = run if run.resolve() in above else next((each for each in (board_folder, *above) if _is_run(each)), None)
    if other is not None:
        msg = f"{board_folder} would be written into the run in {other}; publish to another folder with --to"
        raise UsageError(msg)


def _is_run(folder: Path) -> bool:
    return (folder / PLAN).is_file() and (folder / "suite.yaml").is_file()


def _require_publishable(run: Run, *, as_is: bool, partial: bool) -> None:
    if run.published:
        msg = f"{run.folder} is a published board; name the folder of a run"
        raise UsageError(msg)
    if not partial:
        _require_whole(run)
    _require_its_suite(run)
    if run.board.idle and not as_is:
        model = next(iter(run.board.idle))
        msg = f"{run.board.cautions(model)[-1]} Publish it, so marked, with --as-is"
        raise UsageError(msg)


def _require_its_suite(run: Run) -> None:
    """Hold the run's `suite.yaml`, which the records repeat, against what its tables were made for."""
    recorded = run.board.status.suite
    if recorded != hashlib.sha256((run.folder / "suite.yaml").read_bytes()).hexdigest():
        what = "is not as it ran" if recorded else "is not known to be as it ran"
        msg = f"suite.yaml of {run.folder} {what}; run the suite again"
        raise UsageError(msg)


def _require_whole(run: Run) -> None:
    """Hold what the run says of itself, and its steps, against its plan."""
    status, failures = run.board.status, run.board.failures
    rest = "run its suite again, or publish what is there, so marked, with --partial"
    if failures:
        step, reason = next(iter(failures.items()))
        progress = f"{status.progress}, " if status.progress else ""
        msg = f"{run.folder} is not finished: {progress}{step} failed ({reason}); {rest}"
        raise UsageError(msg)
    if not status.known:
        msg = f"{run.folder} does not say how many of its steps are done; run its suite again"
        raise UsageError(msg)
    if status.progress:
        msg = f"{run.folder} is not finished: {status.progress}; {rest}"
        raise UsageError(msg)
    missing = [step for model in run.board.suite["models"] for step, done in run.steps(model).items() if done is None]
    if missing:
        msg = f"{run.folder} is not finished: {missing[0]} is not done; {rest}"
        raise UsageError(msg)


def _write_board(folder: Path, records: list[Content]) -> None:
    board = board_of(records)
    pictures = as_files(charts(board.shown, board.suite))
    written = pictures | ({MANIFEST: manifest(pictures)} if pictures else {})
    for old in (folder / FIGURES).glob("*"):
        if old.name not in written and not old.is_dir():
            old.unlink()
    for name, content in written.items():
        write_file(folder / FIGURES / name, content)
    files = tables(board, records, pictures)
    for name, content in files.items():
        write_file(folder / name, content)
    for name in {MASKING, COSTS} - files.keys():
        (folder / name).unlink(missing_ok=True)


def _write_index(to: Path) -> None:
    records = {folder.name: sound_records(folder) for folder in board_folders(to)}
    for name, content in index({name: (board_of(those), those) for name, those in records.items()}).items():
        write_file(to / name, content)
