"""Gradients that go straight through modules at which they vanish or jump (BPDA).

Source: Athalye, Carlini and Wagner, *Obfuscated gradients give a false sense of security*, 2018; the straight-through
estimator is that of Bengio, Léonard and Courville, *Estimating or propagating gradients through stochastic neurons*,
2013.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.diagnostics.claims.places import INPUT, Place


class _Straight(torch.autograd.Function):
    """Gives the second of two tensors; its gradient goes to the first as it is."""

    @staticmethod
    def forward(_ctx: Any, _given: Tensor, output: Tensor) -> Tensor:  # noqa: ANN401
        return output.view_as(output)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return gradients[0], None


def straightened(given: Tensor, output: Tensor) -> Tensor:
    """Give `output`, with the identity as its gradient to `given`, which has its shape."""
    straight: Callable[..., Tensor] = _Straight.apply
    return straight(given, output.detach())


@contextmanager
def straight_through(model: nn.Module, places: Sequence[Place]) -> Iterator[None]:
    """Let gradients go through these places of a model as through the identity; what it computes stays the same.

    Parameters
    ----------
    model : nn.Module
        Gains hooks, and loses them again.
    places : sequence of Place
        Each `same_shape`.
    """
    handles = []
    try:
        for place in places:
            if place.name == INPUT:
                handles += _around_input(model, place.module)
            else:
                handles.append(place.module.register_forward_hook(_around))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _around(_module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return straightened(given[0], output)


def _around_input(model: nn.Module, first: nn.Module) -> list[Any]:
    """Let what comes before the first module be the identity on the way back, once in a pass."""
    images: list[Tensor] = []

    def begin(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
        images[:] = [given[0]]

    def enter(_module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        return (straightened(images.pop(), given[0]),) if images else None

    return [model.register_forward_pre_hook(begin), first.register_forward_pre_hook(enter)]
