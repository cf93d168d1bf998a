"""Draw a run's figures and write its report from what its steps left, when something has changed."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from lrbench.child_processes import begin_as_child, process_context, without_main
from lrbench.errors import LrbenchError
from lrbench.leaderboard import Leaderboard
from lrbench.leaderboard.charts import Artefacts, charts
from lrbench.runner.code import folder_version
from lrbench.runner.kinds import KINDS
from lrbench.runner.step import Step
from lrbench.store import Record, Store
from lrbench.views.charts import Chart

INDEX = "figures/index.json"
REPORT = "report.html"


def write_views(
    store: Store,
    board: Leaderboard,
    done: list[tuple[Step, Record]],
    classes: tuple[str, ...],
    *,
    side_by_side: bool = False,
) -> None:
    """Write `figures/` and `report.html`, unless what is there was made from the same records by the same code.

    Nothing is written where nothing is finished. `side_by_side` makes the two in two processes.
    """
    key = _key(board, done)
    if board.results.empty or _whole(store, key):
        return
    kept: dict[str, dict[str, Mapping[str, bytes]]] = {}
    for step, record in done:
        if step.kind not in KINDS:
            kept.setdefault(step.kind, {}).setdefault(step.model, _Files(store.folder(step.id), record.files))
    shown = replace(board.shown, classes=classes, kept=kept)
    drawn = charts(shown, board.suite, _artefacts(store, done, board.suite["threat_model"]["norm"]))
    files = _made(store, drawn, side_by_side=side_by_side)
    for name, content in files.items():
        store.write_bytes(name, content)
    if (store.root / "figures").is_dir():
        for old in (store.root / "figures").iterdir():
            if f"figures/{old.name}" not in files and f"figures/{old.name}" != INDEX:
                store.remove(f"figures/{old.name}")
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    store.write(INDEX, json.dumps({"key": key, "files": checksums}, indent=1) + "\n")


class _Files(Mapping[str, bytes]):
    """What a measure kept, which is read when it is asked for: it can be large, and few pictures need it."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self._folder, self._names = folder, tuple(names)

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        return (self._folder / name).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _artefacts(store: Store, done: list[tuple[Step, Record]], norm: str) -> Artefacts:
    made = Artefacts()
    for step, _ in done:
        folder = store.folder(step.id)
        if step.kind == "train":
            made.histories[step.model, step.seed] = json.loads((folder / "history.json").read_text("utf-8"))
        elif step.kind == "minimal":
            sizes = load((folder / "outcomes.safetensors").read_bytes())[norm]
            of_attack = made.sizes.setdefault(step.labels[0], {})
            of_attack[step.model] = np.concatenate([of_attack.get(step.model, sizes[:0]), sizes])
    return made


def _made(store: Store, drawn: Iterable[Chart], *, side_by_side: bool) -> dict[str, bytes]:
    # They load the library that draws, which a run that has nothing left to do can spare.
    from lrbench.leaderboard.drawing import as_files  # noqa: PLC0415
    from lrbench.leaderboard.report import report  # noqa: PLC0415

    with _another_process() if side_by_side else nullcontext() as pool:
        with without_main():
            page = None if pool is None else pool.submit(report, store.root)
        files = {f"figures/{name}": content for name, content in as_files(drawn).items()}
        files[REPORT] = (report(store.root) if page is None else _awaited(page)).encode()
    return files


def _awaited(page: "Future[str]") -> str:
    try:
        return page.result()
    except BrokenProcessPool:
        msg = "the process that made the report died (out of memory?); what was finished is kept, run the command again"
        raise LrbenchError(msg) from None


def _another_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, process_context(), begin_as_child, (dict(os.environ),))


def _whole(store: Store, key: str) -> bool:
    """Whether all figures are there as they were drawn, from what is there now."""
    try:
        index = json.loads((store.root / INDEX).read_text("utf-8"))
        files = {name: (store.root / name).read_bytes() for name in index["files"]}
        drawn = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        return bool(index["key"] == key and drawn == index["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False  # no index, or none that can be read


def _key(board: Leaderboard, done: list[tuple[Step, Record]]) -> str:
    digest = hashlib.sha256("".join(map(folder_version, ("leaderboard", "measures", "views"))).encode())
    digest.update(board.status.write().encode())
    digest.update(json.dumps(board.failures).encode())
    # Thresholds, published figures and descriptions are in no step's key, but on these pages.
    digest.update(json.dumps(board.suite, sort_keys=True).encode())
    for step, record in done:
        digest.update(f"{step.id} {record.key} {sorted(record.files.items())}".encode())
    return digest.hexdigest()
