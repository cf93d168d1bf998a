"""What models give, made logits (N, classes): one rule for each form, wherever a model enters."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class OutputError(ValueError):
    """A model gives nothing that can be taken for logits."""


def as_logits(output: Any, n: int) -> Tensor:  # noqa: ANN401
    """Make logits of what a model gave for n inputs.

    - (N, classes) with two classes or more is taken as it is, probabilities too (the masking checks say what they are);
    - (N, classes, 1, 1) and the like lose what has size 1;
    - one logit an input, (N, 1) or (N,), is that of class 1 against class 0, and becomes the two logits (0, z);
    - of a mapping, a dataclass or a named tuple `logits` is taken; of anything that holds a single tensor, that one.

    Parameters
    ----------
    output
        What the model gave.
    n : int
        Inputs that it was given.

    Returns
    -------
    Tensor, (N, classes), floating point
        The very same tensor where nothing had to be done.

    Raises
    ------
    OutputError
        If it is anything else, with what it is.
    """
    found = tensor_of(output)
    if found.layout is not torch.strided or found.is_nested:
        kind = "nested" if found.is_nested else str(found.layout).removeprefix("torch.")
        msg = f"a model must give logits (N, classes); this one gave a {kind} tensor: give a dense one"
        raise OutputError(msg)
    if not found.is_floating_point():
        msg = f"a model must give logits (N, classes); this one gave {found.dtype} of shape {tuple(found.shape)}"
        if not found.is_complex():
            msg += ": classes rather than logits?"
        raise OutputError(msg)
    if found.ndim > 2 and all(size == 1 for size in found.shape[2:]):
        found = found.flatten(1)
    if n == 1 and (found.ndim == 0 or (found.ndim == 1 and len(found) != 1)):
        found = found[None]  # squeezed
    if found.shape in {(n,), (n, 1)}:
        # Under an autocast of another dtype, torch stacks nothing.
        return functional.pad(found.reshape(n, 1), (1, 0))
    if found.ndim != 2 or len(found) != n or not found.numel():
        msg = f"a model must give logits (N, classes); for {n} inputs this one gave shape {tuple(found.shape)}"
        raise OutputError(msg)
    return found


def tensor_of(output: Any) -> Tensor:  # noqa: ANN401
    """Give the tensor of an output that is taken for logits, as the model gave it.

    Raises
    ------
    OutputError
        If there is none, or more than one.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, np.ndarray):
        return torch.from_numpy(output)
    parts = _parts(output)
    if isinstance(parts.get("logits"), Tensor):
        logits: Tensor = parts["logits"]
        return logits
    tensors = [value for value in parts.values() if isinstance(value, Tensor)]
    if len(tensors) == 1:
        return tensors[0]
    what = type(output).__name__ + (f" of {len(parts)}" if parts else "")
    named = ", ".join(str(name) for name in parts if isinstance(name, str))
    msg = (
        f"a model must give logits (N, classes); this one gave a {what}{f' ({named})' if named else ''}: "
        "wrap it so that it gives the logits alone"
    )
    raise OutputError(msg)


def _parts(output: Any) -> dict[Any, Any]:  # noqa: ANN401
    """Give what an output consists of, by name or position."""
    if isinstance(output, Mapping):
        return dict(output)
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    if hasattr(output, "_asdict"):
        return dict(output._asdict())
    if isinstance(output, Sequence) and not isinstance(output, str | bytes):
        return dict(enumerate(output))
    if isinstance(getattr(output, "logits", None), Tensor):
        return {"logits": output.logits}
    return {}
