"""What a measure gave, which may be anybody's, held to what a row of results and a file beside them may be."""

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from lrbench.columns import as_text
from lrbench.measures.base import BaseMeasure, Row
from lrbench.measures.registry import metric_of

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = {"metric", "value", "ci_low", "ci_high", "n", "layer"}
"""What rows may hold; the rest says which model, seed and data they are of."""

RESERVED = {"step.json", "failure.txt"}


def checked_rows(name: str, measure: BaseMeasure, rows: object) -> Iterator[Row]:
    """Pass on the rows of a measure.

    Raises
    ------
    TypeError, ValueError
        With the first row that is none.
    """
    if not isinstance(rows, Iterable):
        msg = f"{name} gave {type(rows).__name__}: it yields rows, or gives a list of them"
        raise TypeError(msg)
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        found = _row(name, measure, row)
        parameters = _parameters(measure, row["metric"])
        key = (found["metric"], *(found.get(column, "") for column in ("layer", *parameters)))
        if key in seen:
            where = ", ".join(part for part in key[1:] if part)
            msg = f"{name} gave {row['metric']!r:.60} twice{f' at {where}' if where else ''}"
            raise ValueError(msg)
        seen.add(key)
        yield found


def _row(name: str, measure: BaseMeasure, row: object) -> Row:
    parameters = _parameters(measure, row.get("metric")) if isinstance(row, dict) else ()
    if not isinstance(row, dict) or not {"metric", "value"} <= row.keys() <= COLUMNS.union(parameters):
        listed = ", ".join([*sorted(COLUMNS), *parameters])
        msg = f"{name} gave {row!r:.100}: a row is a mapping with metric and value, and of {listed} only"
        raise TypeError(msg)
    metric, layer, n = row["metric"], row.get("layer", ""), row.get("n")
    if measure.figures and metric not in measure.figures:
        msg = f"{name} gave {metric!r:.60}, which is none of its figures: {', '.join(measure.figures)}"
        raise ValueError(msg)
    if not isinstance(layer, str):
        msg = f"{name} gave {metric!r:.60} at {layer!r:.60}: a layer is named"
        raise TypeError(msg)
    if n is not None and not (isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0):
        msg = f"{name} gave {metric!r:.60} of {n!r:.60} images: n is their number, 1 or more"
        raise ValueError(msg)
    checked: Row = {"metric": metric_of(name, metric), "value": _number(name, metric, row["value"])}
    checked |= {"layer": layer} if "layer" in row else {}
    checked |= {} if n is None else {"n": int(n)}
    checked |= {column: _parameter(name, metric, column, row[column]) for column in parameters if column in row}
    return checked | _interval(name, metric, row, checked["value"])


def _parameters(measure: BaseMeasure, metric: object) -> tuple[str, ...]:
    known = measure.figures.get(metric) if isinstance(metric, str) else None
    return () if known is None else known.parameters


def _parameter(name: str, metric: str, column: str, value: Any) -> str:
    plain = value.item() if isinstance(value, Real) and hasattr(value, "item") else value
    number = isinstance(plain, int | float) and not isinstance(plain, bool)
    if number or (isinstance(plain, str) and plain.isprintable()):
        return as_text(plain)
    msg = f"{name} gave {metric!r:.60} with {column} {value!r:.60}: a parameter is a number or a line of text"
    raise TypeError(msg)


def _interval(name: str, metric: str, row: Row, value: float) -> Row:
    bounds = [row.get("ci_low"), row.get("ci_high")]
    if bounds == [None, None]:
        return {}
    low, high = (_number(name, metric, bound) for bound in bounds)
    if not low <= value <= high:
        msg = f"{name} gave {metric!r:.60} the interval [{low:g}, {high:g}], which does not hold its value {value:g}"
        raise ValueError(msg)
    return {"ci_low": low, "ci_high": high}


def _number(name: str, metric: str, value: Any) -> float:
    """Take a number, or an array or a tensor of one entry."""
    item = value.item() if hasattr(value, "item") and getattr(value, "size", 1) != 0 else value
    if not isinstance(item, Real) or isinstance(item, bool):
        msg = f"{name} gave {value!r:.60} as {metric!r:.60}: a number is wanted"
        raise TypeError(msg)
    if not isfinite(item):
        msg = f"{name} gave {float(item)} as {metric!r:.60}; leave out what cannot be measured"
        raise ValueError(msg)
    return float(item)


def checked_each(name: str, each: object, count: int) -> dict[str, "Tensor"]:
    """Pass on what a measure gave of each image of a batch.

    Raises
    ------
    TypeError, ValueError
        If it is no mapping of names to tensors with an entry an image.
    """
    if not isinstance(each, Mapping):
        msg = f"each of {name} gave {type(each).__name__}: it gives a mapping of names to tensors (N,)"
        raise TypeError(msg)
    for key, values in each.items():
        if not isinstance(key, str) or tuple(getattr(values, "shape", ())) != (count,):
            shape = getattr(values, "shape", None)
            instead = type(values).__name__ if shape is None else f"shape {tuple(shape)}"
            msg = f"each of {name} gave {instead} as {key!r:.60}: a tensor ({count},) is wanted, an entry an image"
            raise ValueError(msg)
    return {key: values.detach() for key, values in each.items()}


def checked_files(name: str, files: Mapping[str, Any]) -> dict[str, bytes]:
    """Pass on the files that a measure keeps.

    Raises
    ------
    ValueError, TypeError
        If one is called by more than a name, or is not bytes.
    """
    for file, content in files.items():
        plain = isinstance(file, str) and file.isprintable() and not set(file) & set("/\\:") and file.strip(". ")
        if not plain or file in RESERVED or len(file) > 100:
            msg = f"{name} keeps {file!r:.60}: a plain name is wanted, without folders"
            raise ValueError(msg)
        if not isinstance(content, bytes):
            msg = f"{name} keeps {file} as {type(content).__name__}: its content is bytes"
            raise TypeError(msg)
    return dict(files)
