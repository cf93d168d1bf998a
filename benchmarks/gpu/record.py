"""The record of a measurement: one JSON line a row, written as soon as the row is there, and a table of them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

ENDED = "step"
"""Name of the row that says how a step ended."""


class Record:
    """Rows of OUT/results.jsonl, of this identity (commit, device, arguments) and of others."""

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.lines, self.table, self.errors = out / "results.jsonl", out / "table.md", out / "errors.log"
        self.rows = list(_read(self.lines))

    def add(self, row: dict) -> None:
        """Append a row, and write the table anew."""
        self.rows.append(row)
        torn = self.lines.exists() and not self.lines.read_bytes().endswith(b"\n")
        with self.lines.open("a", encoding="utf-8") as file:
            # A line that a killed process left unfinished stays alone.
            file.write(("\n" if torn and self.lines.stat().st_size else "") + json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh = self.table.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(as_markdown(self.rows), "utf-8")
        os.replace(fresh, self.table)

    def error(self, title: str, text: str) -> None:
        """Keep a traceback."""
        with self.errors.open("a", encoding="utf-8") as file:
            file.write(f"=== {title}\n{text.rstrip()}\n\n")

    def done(self, step: str, identity: dict) -> set[str]:
        """Give the rows of a step that need not be made again."""
        return {
            row["row"]
            for row in self.rows
            if row["step"] == step and row["identity"] == identity and row["status"] in ("ok", "left out")
        }

    def finished(self, step: str, identity: dict) -> bool:
        """Whether a step is there whole."""
        return ENDED in self.done(step, identity)


def _read(path: Path) -> Iterator[dict]:
    if not path.exists():
        return
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # the process that wrote it was killed
            continue
        if isinstance(row, dict) and {"step", "row", "status", "identity", "values"} <= row.keys():
            yield row


def as_markdown(rows: list[dict]) -> str:
    """One table a step: what was found, in the order in which it was; of a row made twice, the last."""
    steps: dict[str, dict[tuple, dict]] = {}
    for row in rows:
        key = (row["row"], json.dumps(row["identity"], sort_keys=True))
        steps.setdefault(row["step"], {})[key] = row
    return "\n".join(part for step, found in steps.items() for part in _section(step, list(found.values()))) + "\n"


def _section(step: str, rows: list[dict]) -> Iterator[str]:
    yield f"## {step}\n"
    flat = [(row, values) for row in rows if row["row"] != ENDED for values in _several(row["values"])]
    columns = list(dict.fromkeys(name for _, values in flat for name in values))
    if flat:
        yield "| " + " | ".join(["row", "status", *columns]) + " |"
        yield "| " + " | ".join(["---"] * (2 + len(columns))) + " |"
        for row, values in flat:
            cells = [row["row"], row["status"], *(_cell(values.get(name)) for name in columns)]
            yield "| " + " | ".join(cells) + " |"
    for row in rows:
        if row["row"] == ENDED:
            seconds = row["values"].get("seconds", 0.0)
            yield f"\n{row['status']} after {seconds:.1f} s; commit {row['identity'].get('commit')}"
    yield ""


def _several(values: dict | list) -> list[dict]:
    return values if isinstance(values, list) else [values]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value).replace("|", "/").replace("\n", " ")
