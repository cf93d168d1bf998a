"""YAML with positions: which line a key stands on, so that an error can say where."""

from dataclasses import dataclass
from typing import Any

import yaml

from lrbench.errors import UsageError

KeyPath = tuple[str | int, ...]

MAX_DEPTH = 32


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
        place = f"{self.name}, line {self.lines[known]}" if known in self.lines else self.name
        where = ".".join(str(part) for part in path)
        return UsageError(f"{place}: {where}: {message}" if where else f"{place}: {message}")


def parse(text: str, name: str) -> Document:
    """Parse one YAML document of plain values.

    Raises
    ------
    UsageError
        If the text is not YAML, holds tags that make objects, aliases, duplicate keys, or is nested too deep.
    """
    try:
        _scan(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            msg = f"{name}: the suite is empty"
            raise UsageError(msg)
        lines: dict[KeyPath, int] = {}
        _index(node, (), lines, name)
        return Document(name, yaml.safe_load(text), lines)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        msg = f"{name}{line}: not valid YAML: {error.problem or error.context}"
        raise UsageError(msg) from error
    except (yaml.YAMLError, ValueError) as error:
        msg = f"{name}: not valid YAML: {str(error).splitlines()[0]}"
        raise UsageError(msg) from error


def _scan(text: str, name: str) -> None:
    """Refuse aliases and deep nesting event by event: composing either first can take unbounded time or space."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else "?"
        if isinstance(event, yaml.AliasEvent):
            msg = f"{name}, line {line}: YAML aliases (*{event.anchor}) are not allowed"
            raise UsageError(msg)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            msg = f"{name}, line {line}: nested too deep; a suite has at most {MAX_DEPTH} levels"
            raise UsageError(msg)


def _index(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], name: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                msg = f"{name}, line {key.start_mark.line + 1}: {'.'.join(map(str, inner))}: the key stands there twice"
                raise UsageError(msg)
            lines[inner] = key.start_mark.line + 1
            _index(value, inner, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _index(value, (*path, index), lines, name)
