"""Read a suite: from a path or by the name of a shipped one."""

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from lrbench.errors import UsageError, nearest, printable
from lrbench.files import is_file
from lrbench.strict import KeyPath
from lrbench.suite.document import MAX_DEPTH, Document, read_document, read_text
from lrbench.suite.faults import short_repr, validated
from lrbench.suite.known import known_suite
from lrbench.suite.project import project_models
from lrbench.suite.schema import Suite


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
    document = read_document(path, str(source))
    return validated(Suite, _extended(document), document), document


def read_run(folder: Path) -> tuple[Suite, list[str]]:
    """Read the suite of a run's folder, which may be a stranger's, or that of a newer version of lrbench.

    Returns
    -------
    Suite, list of str
        What is known of it, and a line for each thing that is not.

    Raises
    ------
    UsageError
        If there is none, or it is none.
    """
    path = find_suite(folder / "suite.yaml")
    document = read_document(path, str(path))
    return known_suite(replace(document, content=_extended(document)))


def name_of_run(folder: Path) -> str | None:
    """Give the name of the suite that a folder holds a run of; None if it holds none, or a damaged one."""
    path = folder / "suite.yaml"
    try:
        content = read_document(path, str(path)).content if is_file(path) else None
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
    # A place in an object store is like a Path, and none.
    if not isinstance(source, str) and not hasattr(source, "is_file"):
        msg = f"a suite is the path of a YAML file or the name of a shipped suite, got {type(source).__name__}"
        raise UsageError(msg)
    path = Path(source) if isinstance(source, str) else source
    if is_file(path):
        return path
    shipped = shipped_suites()
    if str(source) in shipped:
        return shipped[str(source)]
    if path.suffix in {".yaml", ".yml"}:
        msg = f"no such suite file: {str(source)[:200]}"
    else:
        msg = f"unknown suite {short_repr(str(source))}; {nearest(str(source), shipped)}"
    raise UsageError(msg)


def _extended(document: Document) -> dict[str, Any]:
    """Give the document's content with every model's `extends` replaced by what it stands for."""
    raw = document.content
    if not isinstance(raw, dict):
        msg = f"{document.name}: a suite is a mapping of keys to values; see `lrbench suites` for examples"
        raise UsageError(msg)
    models = raw.get("models")
    if not isinstance(models, dict):
        return raw
    for name in models:
        if not isinstance(name, str):
            raise document.error(("models", name), unquoted(name))
    return {**raw, "models": {name: resolved(document, models, name) for name in models}}


def unquoted(name: object) -> str:
    """Say what is wrong with a name that YAML takes for something else, such as `on` for true."""
    kind = "true or false" if isinstance(name, bool) else f"{short_repr(name)}, a {type(name).__name__}"
    return f"YAML reads this name as {kind}; put it in quotes"


def resolved(document: Document, models: dict[str, Any], name: str, above: tuple[str, ...] = ()) -> Any:  # noqa: ANN401
    """Give a model's specification with its `extends` replaced by what it stands for.

    Raises
    ------
    UsageError
        If it extends what is not there, or itself.
    """
    spec = models[name]
    if not isinstance(spec, dict) or "extends" not in spec:
        return spec
    parent = spec["extends"]
    where: KeyPath = ("models", name, "extends")
    if not isinstance(parent, str):
        raise document.error(where, unquoted(parent))
    if parent == name:
        raise document.error(where, f"{short_repr(name)} extends itself")
    if parent in (*above, name):
        circle = printable(" -> ".join(map(str, (*above, name, parent))))
        raise document.error(where, f"{circle:.200} extend each other in a circle")
    if len(above) >= MAX_DEPTH:
        raise document.error(where, f"more than {MAX_DEPTH} models extend one another")
    if parent not in models and parent in (own := project_models()):
        models = {**models, parent: own[parent]}
    if parent not in models:
        valid = [*models, *project_models()]
        raise document.error(where, f"unknown model {short_repr(parent)}; {nearest(parent, valid)}")
    inherited = resolved(document, models, parent, (*above, name))
    if not isinstance(inherited, dict):
        return inherited
    return {**inherited, **{key: value for key, value in spec.items() if key != "extends"}}


def summary(path: Path) -> str:
    """Give the first comment of a suite's file, which says what it is."""
    first = read_text(path).partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""
