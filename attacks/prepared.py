"""A model made ready for many passes: evaluation mode, no parameter gradients, batch norm folded into convolutions."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .frozen import frozen

EXAMPLES = 4
"""So many are run through a folded copy to see that it does what the model does."""

TOLERANCE = 1e-4
"""Largest difference of logits, relative to the largest logit, that counts as rounding."""


class Prepared(nn.Module):
    """What `prepared` gives; an attack takes it as it is, without preparing it again.

    Attributes
    ----------
    original : callable
        The model that was lent, in evaluation mode: what an attack found counts on it alone.
    """

    def __init__(self, net: nn.Module, original: nn.Module) -> None:
        super().__init__()
        self.net = net
        # Not a submodule: its parameters are not this module's, and it moves and is copied on its own.
        self._original = (original,)
        self.training = False

    @property
    def original(self) -> nn.Module:
        """The model that was lent."""
        return self._original[0]

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.net(x)
        return logits


@contextmanager
def prepared(model: nn.Module, x: Tensor, *, compiled: bool = False) -> Iterator[Prepared]:
    """Lend a model for attacks; it is given back exactly as it was.

    Convolutions that feed a batch norm and nothing else are folded with it in a copy, which saves a pass over every
    activation in each direction. The copy is used only if it gives the same logits as the model, to rounding, on the
    first examples; a model that cannot be copied, draws random numbers, or has hooks on those modules is used as it is.

    Parameters
    ----------
    model : nn.Module
    x : Tensor, (N, ...)
        Examples that will be attacked.
    compiled : bool
        Pass the network through `torch.compile`; worth its minutes on long attacks, on a GPU above all.
    """
    if isinstance(model, Prepared):
        yield model
        return
    with frozen(model):
        net = _folded(model, x[:EXAMPLES]) if len(x) else model
        yield Prepared(torch.compile(net) if compiled else net, model)  # type: ignore[arg-type]


def _folded(model: nn.Module, x: Tensor) -> nn.Module:
    if not any(type(module) is nn.BatchNorm2d for module in model.modules()):
        return model
    try:
        twin = copy.deepcopy(model)
    except (TypeError, RuntimeError, NotImplementedError, AttributeError):
        return model
    with torch.no_grad():
        pairs, expected = _pairs(twin, x)
        if not pairs:
            return model
        for conv_name, norm_name in pairs:
            conv, norm = twin.get_submodule(conv_name), twin.get_submodule(norm_name)
            assert isinstance(conv, nn.Conv2d)  # noqa: S101
            assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101
            twin.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
            twin.set_submodule(norm_name, nn.Identity())
        try:
            difference = (twin(x) - expected).abs().max()
        except (AttributeError, TypeError):
            return model  # its forward looks at what was folded away
    same = bool(difference <= TOLERANCE * expected.abs().max())
    return twin.to(memory_format=torch.channels_last) if same else model


def _pairs(model: nn.Module, x: Tensor) -> tuple[list[tuple[str, str]], Tensor]:
    """Convolutions, each with the batch norm that takes its output as it is, by name, and the logits of x."""
    watch = _Watch()
    handles = []
    for name, module in model.named_modules():
        if not name or _hooked(module):
            continue
        if type(module) is nn.Conv2d:
            handles.append(module.register_forward_hook(watch.convolution(name)))
        elif type(module) is nn.BatchNorm2d and module.track_running_stats:
            handles.append(module.register_forward_pre_hook(watch.norm(name)))
    try:
        logits = model(x)
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in watch.pairs if all(watch.calls[name] == 1 for name in pair)], logits


class _Watch:
    """Sees which tensors go from convolutions to batch norms in a pass."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.pairs: list[tuple[str, str]] = []
        self._outputs: dict[int, tuple[str, Tensor]] = {}  # holds the tensors, so that no two of them share an id

    def convolution(self, name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self.calls[name] += 1
            self._outputs[id(output)] = (name, output)

        return hook

    def norm(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.calls[name] += 1
            if id(inputs[0]) in self._outputs:
                self.pairs.append((self._outputs[id(inputs[0])][0], name))

        return hook


def _hooked(module: nn.Module) -> bool:
    """Whether somebody watches or changes what this module does."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks) or hasattr(module, "parametrizations")
