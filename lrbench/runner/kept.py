"""What was finished under another name: taken over, not made again."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from lrbench.runner.plan import Step
from lrbench.store import Record, Store
from lrbench.store.write import read_file


def under_other_names(store: Store, steps: Iterable[Step]) -> dict[str, Record]:
    """Find, for steps by id, a finished record in the folder with the same key and whole files."""
    wanted = {step.key: step for step in steps}
    found: dict[str, Record] = {}
    if wanted:
        for record in store.records():
            step = wanted.get(record.key)
            if step is not None and store.damaged(record) is None:
                found[record.key] = record
    return {step.id: found[step.key] for step in steps if step.key in found}


def take_over(store: Store, steps: Iterable[Step], records: dict[str, Record]) -> list[str]:
    """Save records under the names of these steps; say what was called otherwise, in a line where anything was.

    What they lie under now stays: a step that no plan names any more enters no table, and is there if its name returns.
    """
    mine = [step for step in steps if step.id in records]
    targets = {step.id for step in mine}
    # Names may have been swapped, and each is then to be read before the other is written.
    read = {record.id: _files(store, record) for record in records.values() if record.id in targets}
    for step in mine:
        record = records[step.id]
        files = read[record.id] if record.id in read else _files(store, record)
        if files is None:
            continue
        store.save(replace(record, id=step.id, labels=list(step.labels), rows=_relabelled(record, step)), files)
    moved = [(records[step.id].id, step.id) for step in mine if records[step.id].id != step.id]
    if not moved:
        return []
    more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
    return [f"called otherwise now, not made again: {moved[0][0]} as {moved[0][1]}{more}"]


def _files(store: Store, record: Record) -> dict[str, bytes] | None:
    """Read a record's files; None if another share has put something else in their place since they were found."""
    try:
        files = {name: read_file(store.folder(record.id) / name) for name in record.files}
    except OSError:
        return None
    whole = all(hashlib.sha256(content).hexdigest() == record.files[name] for name, content in files.items())
    return files if whole else None


def _relabelled(record: Record, step: Step) -> list[dict[str, object]]:
    now = dict(zip(record.labels, step.labels, strict=True))
    return [row | ({"attack": now[row["attack"]]} if row.get("attack") in now else {}) for row in record.rows]
