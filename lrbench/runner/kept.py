"""What was finished under another name, or in another run: taken over, not made again."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lrbench.errors import UsageError, some
from lrbench.runner.step import Step
from lrbench.store import Record, Store, View, shown

ASIDE = "aside"
"""Where records wait whose place another step has taken."""


class Kept(NamedTuple):
    """A finished step, and the run's folder in which it lies."""

    record: Record
    store: Store


def runs_at(folders: Iterable[str | Path]) -> tuple[Store, ...]:
    """Give the runs in these folders.

    Raises
    ------
    UsageError
        If a folder holds none.
    """
    stores = tuple(Store(folder) for folder in folders)
    for store in stores:
        if not (store.root / "steps").is_dir():
            lacks = "a published board has none" if (store.root / "records").is_dir() else "no folder `steps` in it"
            why = lacks if store.root.exists() else "it does not exist"
            msg = f"{shown(store.root)} holds no run whose steps could be reused: {why}"
            raise UsageError(msg)
    return stores


def found_in(views: Iterable[View], steps: Iterable[Step], used: Collection[str] = ()) -> dict[str, Kept]:
    """Find, for steps by id, a finished record with the same key and whole files in the first folder that has one.

    `used` are those that are held against their checksums wherever the folder is.
    """
    wanted = {step.key: step for step in steps}
    found: dict[str, Kept] = {}
    for view in views:
        for record in view.records() if wanted.keys() - found.keys() else ():
            step = wanted.get(record.key)
            held = found.get(record.key)
            if step is None or (held is not None and held.store is not view.store):
                continue
            if view.damaged(record, closely=step.id in used) is None:
                found[record.key] = Kept(record, view.store)
    return {step.id: found[step.key] for step in steps if step.key in found}


def take_over(store: Store, steps: Iterable[Step], found: dict[str, Kept]) -> list[str]:
    """Save what was found under the names of these steps; say what was called otherwise, or lay elsewhere, a line each.

    What they lie under now stays: a step that no plan names any more enters no table, and is there if its name returns.
    What lies in the way and is wanted by steps that are not among these, as where shares of a run whose models' names
    were swapped come one after the other, is set aside for them.
    """
    mine = [step for step in steps if step.id in found]
    here = {step: kept.record for step, kept in found.items() if kept.store is store}
    targets = {step.id for step in mine}
    # Names may have been swapped, and each is then to be read before the other is written.
    read = {record.id: _files(store, record) for record in here.values() if record.id in targets}
    for record in (record for step, record in here.items() if step not in targets and record.id in targets):
        if (files := read[record.id]) is not None:
            store.save(replace(record, id=f"{ASIDE}/{record.key[:16]}"), files)
    for step in mine:
        record, source = found[step.id]
        files = read[record.id] if source is store and record.id in read else _files(source, record)
        if files is None:
            continue
        labelled = replace(record, id=step.id, labels=list(step.labels), rows=_relabelled(record, step))
        store.save(replace(labelled, environment=_environment(store, source, record)), files)
    return [*_renamed(mine, here), *_reused(mine, found, store)]


def _renamed(steps: list[Step], here: dict[str, Record]) -> list[str]:
    moved = [(here[step.id].id, step.id) for step in steps if step.id in here and here[step.id].id != step.id]
    return [f"renamed, not run again: {some([f'{old} as {new}' for old, new in moved], 1)}"] if moved else []


def _reused(steps: list[Step], found: dict[str, Kept], store: Store) -> list[str]:
    sources: dict[str, list[str]] = {}
    for step in steps:
        if found[step.id].store is not store:
            sources.setdefault(shown(found[step.id].store.root), []).append(step.id)
    return [f"from {source}, not run again: {some(ids, 1)}" for source, ids in sources.items()]


def _environment(store: Store, source: Store, record: Record) -> str:
    """Keep what a step was taken under beside it."""
    if source is store or not (content := source.environment(record.environment)):
        return record.environment
    return store.save_environment(content)


def _files(store: Store, record: Record) -> dict[str, bytes] | None:
    """Read a record's files; None if another share has put something else in their place since they were found."""
    files = {name: content for name in record.files if (content := store.file(record, name)) is not None}
    return files if files.keys() == record.files.keys() else None


def _relabelled(record: Record, step: Step) -> list[dict[str, object]]:
    now = dict(zip(record.labels, step.labels, strict=True))
    return [row | ({"attack": now[row["attack"]]} if row.get("attack") in now else {}) for row in record.rows]
