"""What was finished under another name: taken over, not made again."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from lrbench.runner.step import Step
from lrbench.store import Record, Store, View

ASIDE = "aside"
"""Where records wait whose place another step has taken."""


def under_other_names(view: View, steps: Iterable[Step], used: Collection[str] = ()) -> dict[str, Record]:
    """Find, for steps by id, a finished record in the folder with the same key and whole files.

    `used` are those that are held against their checksums wherever the folder is.
    """
    wanted = {step.key: step for step in steps}
    found: dict[str, Record] = {}
    if wanted:
        for record in view.records():
            step = wanted.get(record.key)
            if step is not None and view.damaged(record, closely=step.id in used) is None:
                found[record.key] = record
    return {step.id: found[step.key] for step in steps if step.key in found}


def take_over(store: Store, steps: Iterable[Step], records: dict[str, Record]) -> list[str]:
    """Save records under the names of these steps; say what was called otherwise, in a line where anything was.

    What they lie under now stays: a step that no plan names any more enters no table, and is there if its name returns.
    What lies in the way and is wanted by steps that are not among these, as where shares of a run whose models' names
    were swapped come one after the other, is set aside for them.
    """
    mine = [step for step in steps if step.id in records]
    targets = {step.id for step in mine}
    # Names may have been swapped, and each is then to be read before the other is written.
    read = {record.id: _files(store, record) for record in records.values() if record.id in targets}
    for record in (record for step, record in records.items() if step not in targets and record.id in targets):
        if (files := read[record.id]) is not None:
            store.save(replace(record, id=f"{ASIDE}/{record.key[:16]}"), files)
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
    return [f"renamed, not run again: {moved[0][0]} as {moved[0][1]}{more}"]


def _files(store: Store, record: Record) -> dict[str, bytes] | None:
    """Read a record's files; None if another share has put something else in their place since they were found."""
    files = {name: content for name in record.files if (content := store.file(record, name)) is not None}
    return files if files.keys() == record.files.keys() else None


def _relabelled(record: Record, step: Step) -> list[dict[str, object]]:
    now = dict(zip(record.labels, step.labels, strict=True))
    return [row | ({"attack": now[row["attack"]]} if row.get("attack") in now else {}) for row in record.rows]
