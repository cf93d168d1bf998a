"""Networks that are published beside their records, which hold their checksums."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lrbench.errors import UsageError
from lrbench.leaderboard.kept import Content
from lrbench.leaderboard.networks import CHECKPOINT
from lrbench.leaderboard.outcomes import Run
from lrbench.names import in_path, makes_network, model_path
from lrbench.store import write_file

FOLDER = "weights"


def publish_weights(run: Run, models: list[str], board_folder: Path) -> None:
    """Copy the networks of these models of a run, of every seed, into a board's folder."""
    for model in models:
        for step, record in run.steps(model).items():
            if record is None or not makes_network(step):
                continue
            for name in CHECKPOINT:
                content = run.store.file(record, name)
                if content is None:
                    msg = f"{run.store.folder(step) / name} is not as its step wrote it; run the suite again"
                    raise UsageError(msg)
                write_file(_folder(board_folder, step) / name, content)


def remove_others(board_folder: Path, record: Content) -> bool:
    """Remove what is published of a model's networks, if it is not what its record says; give whether it was not."""
    try:
        known = {*published_files(board_folder, record)}
    except UsageError:
        known = set()
    there = [
        path
        for name in CHECKPOINT
        for path in (board_folder / FOLDER / in_path(record["model"])).glob(f"seed-*/{name}")
    ]
    other = bool({*there} - known)
    for path in there if other else ():
        path.unlink()
        # Whatever else lies there is not ours.
        with suppress(OSError):
            path.parent.rmdir()
            path.parent.parent.rmdir()
    return other


def published_files(board_folder: Path, record: Content) -> Iterator[Path]:
    """Give the files of a record's networks that are published, each once it was held against its checksum.

    Raises
    ------
    UsageError
        With the first that does not match, or is missing beside others.
    """
    steps = [step for step in record["artefacts"] if makes_network(step)]
    files = {_folder(board_folder, step) / name: step for step in steps for name in CHECKPOINT}
    there = {path: step for path, step in files.items() if path.is_file()}
    if there and (gone := files.keys() - there.keys()):
        msg = f"{min(gone)} is missing; publish its run with --weights again"
        raise UsageError(msg)
    for path, step in there.items():
        _checked(path, record["artefacts"][step])
        yield path


def published_checkpoint(board_folder: Path, record: Content, seed: int) -> dict[str, bytes]:
    """Read a published network: name of a file -> content.

    Raises
    ------
    UsageError
        If it was published without, or does not match the record's checksums.
    """
    wanted = model_path(record["model"], seed)
    steps = [step for step in record["artefacts"] if makes_network(step) and step.partition("/")[2] == wanted]
    if not steps:
        msg = f"{board_folder}: the record of {record['model']} knows no seed {seed}"
        raise UsageError(msg)
    folder = _folder(board_folder, steps[0])
    if not all((folder / name).is_file() for name in CHECKPOINT):
        lacking = f"was published without the weights of {record['model']}"
        msg = f"{board_folder} {lacking} (`lrbench publish --weights` adds them)"
        raise UsageError(msg)
    return {name: _checked(folder / name, record["artefacts"][steps[0]]) for name in CHECKPOINT}


def _folder(board_folder: Path, step: str) -> Path:
    """Give where a step's network lies: `weights/MODEL/seed-N`."""
    return board_folder / FOLDER / step.partition("/")[2]


def _checked(path: Path, checksums: dict[str, str]) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != checksums.get(path.name):
        msg = f"{path} does not match the checksum in its record; publish its run with --weights again"
        raise UsageError(msg)
    return content
