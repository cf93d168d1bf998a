"""Arguments as people write them: "Linf", "ce", "8/255", numpy's numbers; what cannot be read is named."""

import difflib
import functools
import inspect
import math
import numbers
import typing
import unicodedata
from collections.abc import Callable, Mapping, Set
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

import numpy as np
import torch

F = TypeVar("F", bound=Callable[..., Any])

ALSO = {
    "inf": "linf",
    "linfinity": "linf",
    "linfty": "linf",
    "l∞": "linf",
    "2": "l2",
    "euclidean": "l2",
    "1": "l1",
    "manhattan": "l1",
    "taxicab": "l1",
    "ce": "crossentropy",
    "xent": "crossentropy",
    "cw": "margin",
    "fp32": "float32",
    "float": "float32",
    "bf16": "bfloat16",
}
"""Other spellings of a choice, in small letters and without what stands between them."""

ELSEWHERE = {
    "epsilon": "eps",
    "alpha": "step_size",
    "eps_step": "step_size",
    "stepsize": "step_size",
    "iters": "steps",
    "iterations": "steps",
    "max_iter": "steps",
    "nb_iter": "steps",
    "num_steps": "steps",
    "n_iter": "steps",
    "n_queries": "queries",
    "n_restarts": "restarts",
    "n_target_classes": "targets",
    "binary_search_steps": "searches",
    "eot_iter": "eot",
    "p": "norm",
    "ord": "norm",
    "clip_values": "bounds",
    "clip_min": "bounds",
    "clip_max": "bounds",
    "loss_fn": "loss",
}
"""What other libraries call an argument."""

LARGEST = 2**63
"""Whole numbers, seeds among them, are below that."""


def spelled(function: F) -> F:
    """Let a function take arguments in the spellings that people use, by its annotations.

    A Literal takes any of its values however it is spelt; float and int take numbers of any kind and fractions such as
    "8/255"; bool and pairs of floats are held to be such. What has another annotation is passed on.

    Raises
    ------
    ValueError
        By the function: for an argument that cannot be read, with its name and what would be right.
    TypeError
        By the function: for an argument that it does not have, with the nearest that it has.
    """
    signature = inspect.signature(function)

    @functools.cache
    def hints() -> dict[str, Any]:
        try:
            return typing.get_type_hints(function)
        except NameError:
            # Annotations that stand for type checkers alone say nothing here.
            return {}

    @functools.wraps(function)
    def reading(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(_unbound(function, signature, kwargs, error)) from None
        for name, value in bound.arguments.items():
            if name in hints():
                bound.arguments[name] = _read(name, value, hints()[name])
        return function(*bound.args, **bound.kwargs)

    return reading  # type: ignore[return-value]


def _unbound(
    function: Callable[..., Any], signature: inspect.Signature, given: dict[str, Any], error: TypeError
) -> str:
    name = function.__qualname__.removesuffix(".__init__")
    known = [each for each in signature.parameters if each != "self"]
    for each in given:
        if each not in known:
            meant = ELSEWHERE.get(each)
            near = [meant] if meant in known else difflib.get_close_matches(each, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(known)}"
            return f"{name} has no argument {each!r}; {hint}"
    return f"{name}: {error}"


def _read(name: str, value: Any, hint: Any) -> Any:  # noqa: ANN401, PLR0911
    if get_origin(hint) in {typing.Union, UnionType}:
        others = [each for each in get_args(hint) if each is not NoneType]
        if value is None or len(others) != 1:
            return value
        hint = others[0]
    if get_origin(hint) is Literal:
        return choice(name, value, get_args(hint))
    if hint is float:
        return number(name, value)
    if hint is int:
        return whole(name, value)
    if hint is bool:
        return _flag(name, value)
    if get_origin(hint) is tuple and get_args(hint) == (float, float):
        return _pair(name, value)
    return value


def choice(name: str, value: Any, valid: tuple[str, ...]) -> str:  # noqa: ANN401
    """Give the one of the valid values that is meant.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    plain = {_plain(each): each for each in valid}
    text = _plain(f"{value:g}" if isinstance(value, float) else str(value))
    found = plain.get(text) or plain.get(ALSO.get(text, ""))
    if found is None:
        near = difflib.get_close_matches(text, plain, 1)
        hint = f"; did you mean {plain[near[0]]!r}?" if near else ""
        msg = f"{name} must be one of {', '.join(valid)}, got {shown(value)}{hint}"
        raise ValueError(msg)
    return found


def _plain(text: str) -> str:
    """Give a spelling in small letters, without what stands between them; the script l of norms is an l."""
    text = unicodedata.normalize("NFKC", text).lower().removeprefix("torch.")
    return "".join(each for each in text if each not in " _-")


def number(name: str, value: Any) -> float:  # noqa: ANN401
    """Read a number, or a fraction such as "8/255".

    Raises
    ------
    ValueError
        If it is none, or not a number (NaN).
    """
    found = _numeric(value)
    try:
        exact = math.nan if found is None else float(found)
    except OverflowError:
        exact = math.inf
    if math.isnan(exact):
        msg = f"{name} must be a number such as 0.03 or '8/255', got {shown(value)}"
        raise ValueError(msg)
    return exact


def whole(name: str, value: Any) -> int:  # noqa: ANN401
    """Read a whole number.

    Raises
    ------
    ValueError
        If it is none.
    """
    found = _numeric(value)
    if found is None or found != found // 1:
        msg = f"{name} must be a whole number, got {shown(value)}"
        raise ValueError(msg)
    if abs(found) >= LARGEST:
        msg = f"{name} must be below 2**63, got {shown(value)}"
        raise ValueError(msg)
    return int(found)


def shown(value: Any) -> str:  # noqa: ANN401
    """Show a value of anybody's in a line."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001 - whatever a stranger's __repr__ raises
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _numeric(value: Any) -> float | int | None:  # noqa: ANN401
    """Read a number, whole ones exactly."""
    try:
        if isinstance(value, str):
            above, slash, below = value.partition("/")
            return float(above) / float(below) if slash else _literal(above)
        if isinstance(value, torch.Tensor | np.ndarray):
            value = value.item()
        if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real | Decimal):
            return None
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    except (ValueError, ArithmeticError, RuntimeError):
        return None


def _literal(text: str) -> float | int:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _flag(name: str, value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, bool | np.bool_):
        msg = f"{name} must be True or False, got {shown(value)}"
        raise ValueError(msg)
    return bool(value)


def _pair(name: str, value: Any) -> tuple[float, float]:  # noqa: ANN401
    try:
        # Of those, what is low and what is high is not said.
        found = [] if isinstance(value, Set | Mapping | str | bytes) else list(value)
    except TypeError:
        found = []
    if len(found) != 2:
        msg = f"{name} must be a pair (low, high) or None, got {shown(value)}"
        raise ValueError(msg)
    low, high = found
    return number(f"{name}[0]", low), number(f"{name}[1]", high)
