"""A suite that another version of lrbench wrote: what this one knows of it, and in a line each what it does not."""

import copy
from typing import Any

from pydantic import ValidationError

from lrbench.renamed import renamed_suite
from lrbench.strict import KeyPath
from lrbench.suite.document import Document
from lrbench.suite.faults import refused, short_repr
from lrbench.suite.schema import Suite

MOST_UNKNOWN = 200

MEANING = {"name", "data", "seeds", "threat_model"}
"""Say what the figures are of. A value there that is not known cannot be left out without changing what they mean."""


def known_suite(document: Document) -> tuple[Suite, list[str]]:
    """Read what is known of a suite that was run already, and say what is not.

    Keys that this version does not know are left out, and so are values of known ones, unless they say of what the
    figures are, or a whole section, model or attack would go with them.

    Returns
    -------
    Suite, list of str
        What is left, and a line for each thing that was left out.

    Raises
    ------
    UsageError
        If what is left is no suite.
    """
    content, left_out, gone = renamed_suite(copy.deepcopy(document.content)), list[str](), list[KeyPath]()
    while True:
        try:
            return Suite.model_validate(content), left_out
        except ValidationError as error:
            unknown = [_unknown(content, detail) for detail in error.errors(include_url=False)]
            path = max((each for each in unknown if each is not None), key=len, default=None)
            if path is None or len(left_out) >= MOST_UNKNOWN:
                raise refused(error, document, lambda place: _as_written(place, gone)) from None
        value = _removed(content, path)
        msg = f"{short_repr(value)} is unknown to this version of lrbench, or not registered here, and ignored"
        left_out.append(str(document.error(_as_written(path, gone), msg)))
        gone.append(path)


def _unknown(content: Any, detail: Any) -> KeyPath | None:  # noqa: ANN401
    """Give the path of what a fault is about; None if it cannot be left out."""
    strange = detail["type"] == "unknown_key"
    wanted = (*detail["loc"], detail["ctx"]["key"]) if strange else detail["loc"]
    path: KeyPath = ()
    here = content
    # Where a value may be one of several things, pydantic's path names them, too.
    for part in wanted:
        inside = part in here if isinstance(here, dict) else isinstance(here, list) and part in range(len(here))
        if inside:
            path, here = (*path, part), here[part]
    if strange:
        return path if path[-1:] == wanted[-1:] else None
    whole = len(path) <= (2 if path[:1] in {("models",), ("attacks",)} else 1)
    return None if whole or path[0] in MEANING else path


def _as_written(path: KeyPath, gone: list[KeyPath]) -> KeyPath:
    """Give where in the document stands what is at `path` since these were left out, entries of lists among them."""
    for *above, last in reversed(gone):
        depth = len(above)
        if isinstance(last, int) and path[:depth] == tuple(above) and len(path) > depth:
            here = path[depth]
            path = (*path[:depth], here + 1 if isinstance(here, int) and here >= last else here, *path[depth + 1 :])
    return path


def _removed(content: Any, path: KeyPath) -> Any:  # noqa: ANN401
    *above, last = path
    for part in above:
        content = content[part]
    return content.pop(last)
