"""Read a suite: from a path or by the name of a shipped one."""

from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lrbench.errors import UsageError, nearest, printable
from lrbench.files import is_file
from lrbench.suite.document import MAX_DEPTH, Document, KeyPath, parse
from lrbench.suite.schema import Suite

MAX_BYTES = 200_000
MAX_REPORTED = 3


def load_suite(source: str | Path) -> tuple[Suite, Document]:
    """Load and validate a suite.

    Parameters
    ----------
    source : str or Path
        Path of a YAML file, or the name of a shipped suite.

    Returns
    -------
    Suite, Document
        The suite, and the document that tells which line a key stands on.

    Raises
    ------
    UsageError
        If there is no such file, it is not YAML, or does not follow the schema.
    """
    path = find_suite(source)
    document = parse(_read(path), str(source))
    raw = _extended(document)
    try:
        return Suite.model_validate(raw), document
    except ValidationError as error:
        lines = [_describe(document, detail) for detail in error.errors(include_url=False)]
        raise UsageError("\n".join(list(dict.fromkeys(lines))[:MAX_REPORTED])) from None


def read_run(folder: Path) -> Suite:
    """Read the suite of a run's folder, which may be a stranger's.

    Raises
    ------
    UsageError
        If there is none, or it is none.
    """
    return load_suite(folder / "suite.yaml")[0]


def name_of_run(folder: Path) -> str | None:
    """Give the name of the suite that a folder holds a run of; None if it holds none, or a damaged one."""
    path = folder / "suite.yaml"
    try:
        content = parse(_read(path), str(path)).content if path.exists() else None
    except UsageError:
        return None
    return str(content.get("name")) if isinstance(content, dict) else None


def shipped_suites() -> dict[str, Path]:
    """Names and paths of the suites that come with the package."""
    folder = Path(str(resources.files("lrbench.suites")))
    found = sorted(folder.rglob("*.yaml"), key=lambda path: (len(path.relative_to(folder).parts), path))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


def find_suite(source: str | Path) -> Path:
    """Give the file that `source` names.

    Raises
    ------
    UsageError
        If it is neither a file nor a shipped suite.
    """
    path = Path(source)
    if is_file(path):
        return path
    shipped = shipped_suites()
    if str(source) in shipped:
        return shipped[str(source)]
    if path.suffix in {".yaml", ".yml"}:
        msg = f"no such suite file: {str(source)[:200]}"
    else:
        msg = f"unknown suite {_short(str(source))}; {nearest(str(source), shipped)}"
    raise UsageError(msg)


def _read(path: Path) -> str:
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


def _extended(document: Document) -> dict[str, Any]:
    """Give the document's content with every model's `extends` replaced by what it stands for."""
    raw = document.content
    if not isinstance(raw, dict):
        msg = f"{document.name}: a suite is a mapping of keys to values; see `lrbench suites` for examples"
        raise UsageError(msg)
    models = raw.get("models")
    if not isinstance(models, dict):
        return raw
    return {**raw, "models": {name: _resolve(document, models, name, ()) for name in models}}


def _resolve(document: Document, models: dict[str, Any], name: str, above: tuple[str, ...]) -> Any:  # noqa: ANN401
    spec = models[name]
    if not isinstance(spec, dict) or "extends" not in spec:
        return spec
    parent = spec["extends"]
    where: KeyPath = ("models", name, "extends")
    if not isinstance(parent, str) or parent not in models:
        raise document.error(where, f"unknown model {_short(parent)}; {nearest(str(parent), models)}")
    if parent in (*above, name):
        circle = printable(" -> ".join(map(str, (*above, name, parent))))
        raise document.error(where, f"{circle:.200} extend each other in a circle")
    if len(above) >= MAX_DEPTH:
        raise document.error(where, f"more than {MAX_DEPTH} models extend one another")
    inherited = _resolve(document, models, parent, (*above, name))
    if not isinstance(inherited, dict):
        return inherited
    return {**inherited, **{key: value for key, value in spec.items() if key != "extends"}}


def _describe(document: Document, detail: Any) -> str:  # noqa: ANN401
    path: KeyPath = tuple(part for part in detail["loc"] if part not in {"[key]"})
    context = detail.get("ctx", {})
    if detail["type"] == "unknown_key":
        path = (*path, context["key"])
    message = printable(str(detail["msg"])).removeprefix("Value error, ").removeprefix("Input ")
    if detail["type"] not in {"unknown_key", "missing", "value_error"}:
        message = f"{message}, got {_short(detail['input'])}"
    acronym = message[1:2].isupper() or message[1:2] == "-"
    return str(document.error(path, message if acronym else message[:1].lower() + message[1:]))


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."


def summary(path: Path) -> str:
    """Give the first comment of a suite's file, which says what it is."""
    first = _read(path).partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""
