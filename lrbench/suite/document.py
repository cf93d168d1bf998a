"""YAML with positions: which line a key stands on, so that an error can say where."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lrbench.errors import UsageError, printable
from lrbench.strict import KeyPath

PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map")}
"""No dates, sets or binaries, which are not JSON, and no objects."""

MAX_BYTES = 200_000
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_SCALAR = 2_000


@dataclass(frozen=True)
class Document:
    """A parsed YAML document: its content and the line of every key path."""

    name: str
    content: Any
    lines: dict[KeyPath, int]

    def error(self, path: KeyPath, message: str) -> UsageError:
        """Build the error for what stands at `path`, in one line."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        source = f"{self.name}, line {self.lines[known]}" if known in self.lines else self.name
        where = _dotted(path)
        return UsageError(f"{source}: {where}: {message}" if where else f"{source}: {message}")


def read_document(path: Path, name: str) -> Document:
    """Read and parse a file; `name` is what errors call it.

    Raises
    ------
    UsageError
        If it cannot be read, is too large, or as `parse` does.
    """
    return parse(read_text(path), name)


def read_text(path: Path) -> str:
    """Read a file of text.

    Raises
    ------
    UsageError
        If it cannot be read, is larger than `MAX_BYTES`, or is no UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"cannot read the suite {path}: {error.strerror}"
        raise UsageError(msg) from error
    if len(content) > MAX_BYTES:
        msg = f"{path} is larger than {MAX_BYTES:,} bytes; that is no suite"
        raise UsageError(msg)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text: {error.reason} at byte {error.start}"
        raise UsageError(msg) from error


def parse(text: str, name: str) -> Document:
    """Parse one YAML document of plain values.

    Raises
    ------
    UsageError
        If the text is not YAML, holds tags that make objects, aliases, duplicate keys, control characters, is nested
        too deep or has too many or too long values.
    """
    try:
        loader = _Replayed(_scanned(text, name))
        node = loader.get_single_node()
        if node is None:
            msg = f"{name}: the suite is empty"
            raise UsageError(msg)
        lines: dict[KeyPath, int] = {}
        _index(node, (), lines, name)
        return Document(name, loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        msg = f"{name}{line}: not valid YAML: {printable(str(error.problem or error.context))}"
        raise UsageError(msg) from error
    except LookupError as error:
        msg = f"{name}: not valid YAML: a value is not what its tag (!!bool, !!int, !!float) says"
        raise UsageError(msg) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        msg = f"{name}: not valid YAML: {printable(str(error).splitlines()[0])}"
        raise UsageError(msg) from error


class _Replayed(yaml.composer.Composer, yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """A `SafeLoader` of events that were read before."""

    def __init__(self, events: list[yaml.Event]) -> None:
        for base in (yaml.composer.Composer, yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
            base.__init__(self)
        self._events = events[::-1]

    def check_event(self, *kinds: type[yaml.Event]) -> bool:
        return bool(self._events) and isinstance(self._events[-1], kinds or yaml.Event)

    def peek_event(self) -> yaml.Event:
        return self._events[-1]

    def get_event(self) -> yaml.Event:
        return self._events.pop()


def _scanned(text: str, name: str) -> list[yaml.Event]:
    """Read events, and refuse bombs one by one: composing first can take unbounded time or space."""
    depth, events = 0, []
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        fault = _fault(event)
        if depth > MAX_DEPTH:
            fault = f"nested too deep; a suite has at most {MAX_DEPTH} levels"
        if count > MAX_NODES:
            fault = f"a suite has at most {MAX_NODES:,} values"
        if fault is not None:
            line = event.start_mark.line + 1 if event.start_mark else "?"
            msg = f"{name}, line {line}: {fault}"
            raise UsageError(msg)
        events.append(event)
    return events


def _fault(event: yaml.Event) -> str | None:
    if isinstance(event, yaml.AliasEvent):
        return f"YAML aliases (*{printable(str(event.anchor))}) are not allowed"
    if isinstance(event, yaml.ScalarEvent):
        if len(event.value) > MAX_SCALAR:
            return f"a value of {len(event.value):,} characters; at most {MAX_SCALAR:,} are allowed"
        # Surrogates can be written to no file, and NUL stands in no path.
        if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in event.value):
            return f"{event.value!r:.60} holds control characters"
    return None


def _dotted(path: KeyPath) -> str:
    text = printable(".".join(str(part) for part in path))
    return text if len(text) <= 100 else text[:97] + "..."


def _index(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], name: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if node.tag not in PLAIN:
        what = node.tag.rpartition(":")[2]
        msg = (
            f"{name}, line {node.start_mark.line + 1}: {_dotted(path)}: YAML's {what!r:.80} is not allowed; quote text"
        )
        raise UsageError(msg)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                msg = f"{name}, line {key.start_mark.line + 1}: {_dotted(inner)}: the key stands there twice"
                raise UsageError(msg)
            lines[inner] = key.start_mark.line + 1
            _index(value, inner, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _index(value, (*path, index), lines, name)
