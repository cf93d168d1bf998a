"""A layer of a model, by name, and what it gives while the model runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def find_module(model: Callable[[Tensor], Any], layer: Any) -> nn.Module:  # noqa: ANN401
    """Find a module by name, or by the end of its name, the least deeply nested first; a module is itself.

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(layer, nn.Module):
        return layer
    modules = list(model.named_modules()) if isinstance(model, nn.Module) else []
    found = [(full, module) for full, module in modules if f".{full}".endswith(f".{layer}")]
    if not found or not isinstance(layer, str):
        msg = f"the model has no layer {layer!r:.80}"
        raise ValueError(msg)
    module: nn.Module = min(found, key=lambda pair: pair[0].count("."))[1]
    return module


@contextmanager
def watched(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what a module gives each time that it runs, (N, features).

    Raises
    ------
    ValueError
        If it cannot be watched, or, when it runs, gives something else.
    """
    if isinstance(module, torch.jit.ScriptModule):
        msg = "the layer belongs to a scripted model, whose layers cannot be hooked; pass the model that was scripted"
        raise ValueError(msg)
    seen: list[Tensor] = []

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        if not isinstance(output, Tensor) or not output.ndim:
            msg = f"the layer, a {type(module).__name__}, must give a tensor (N, ...), gave a {type(output).__name__}"
            raise ValueError(msg)
        # A copy: what follows may work in place (ReLU, a sum with a shortcut), and a view would hold its output.
        seen.append(output.clone(memory_format=torch.contiguous_format).reshape(len(output), -1))

    handle = module.register_forward_hook(note)
    try:
        yield seen
    finally:
        handle.remove()


def reached(seen: list[Tensor], layer: str | nn.Module) -> list[Tensor]:
    """Give what was collected in a pass.

    Raises
    ------
    ValueError
        If there was nothing.
    """
    if not seen:
        what = repr(layer) if isinstance(layer, str) else f"given, a {type(layer).__name__}"
        msg = f"the forward pass never reaches the layer {what}; name one that the model runs through"
        raise ValueError(msg)
    return seen
